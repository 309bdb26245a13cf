"""How a benchmark speaks: tables for people, then one JSON object for programs as its last line."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """An aligned table on standard output: floats with three decimals, numbers to the right."""
    cells = [list(columns), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    right = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(columns))]
    if title:
        print(f"\n{title}")
    for line in cells:
        padded = (
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def print_figures(name: str, figures: Mapping[str, float]) -> None:
    """The last line of benchmark `name`: one JSON object with the machine's name and the figures."""
    rounded = {key: round(float(value), 4) for key, value in figures.items()}
    print(json.dumps({"benchmark": name, "machine": machine(), "figures": rounded}), flush=True)


def machine() -> str:
    """Processor and number of usable cores, such as `AMD EPYC 7763, 2 cores`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()}, {cores} core{'s' * (cores != 1)}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
