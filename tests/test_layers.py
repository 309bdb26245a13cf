"""Who may know whom: core <- composer <- service <- cli, and nothing the other way round."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "musicmed_live"

# What each layer may import of the package. `errors` is known to all.
ALLOWED = {
    "errors": (),
    "__init__": (),
    "core": ("errors", "core"),
    "composer": ("errors", "core", "composer"),
    "journal": ("errors", "core", "journal"),
    "musicgen": ("errors", "core", "musicgen"),
    "recognition": ("errors", "core", "recognition"),
    "service": ("errors", "core", "composer", "journal", "musicgen", "recognition", "service", ""),
    "simulation": ("errors", "core", "simulation"),
    "cli": ("errors", "core", "service", "simulation", ""),
    "__main__": ("cli",),
}
# Of the standard library, what the core keeps out of: input and output, clocks, threads, chance without a seed.
IMPURE = {
    *("asyncio", "socket", "selectors", "ssl", "http", "urllib", "subprocess", "threading", "multiprocessing"),
    *("concurrent", "queue", "signal", "time", "datetime", "sched", "pathlib", "os", "io", "shutil", "tempfile"),
    *("sqlite3", "logging", "secrets", "random", "uuid", "sys", "importlib"),
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """The full names of what a module imports, wherever in it that is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide who knows whom"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(path: Path) -> list[str]:
    return list(imports(ast.parse(path.read_text())))


def layer(module: str) -> str:
    """`core` of musicmed_live.core.path.plan; "" of what stands in the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else ""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_part_of_the_package_has_its_place() -> None:
    parts = {path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py") for path in modules(PACKAGE)}
    assert parts == set(ALLOWED)


@pytest.mark.parametrize("path", modules(PACKAGE), ids=name)
def test_a_module_imports_only_what_its_layer_may_know(path: Path) -> None:
    own = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")
    for module in imports_of(path):
        if module.split(".")[0] == PACKAGE:
            assert layer(module) in ALLOWED[own], f"{own} must not know {module}"
        assert module.split(".")[0] not in ("tests", "benchmarks", "clients", "models")


@pytest.mark.parametrize("path", modules(f"{PACKAGE}/core"), ids=name)
def test_the_core_is_pure(path: Path) -> None:
    for module in imports_of(path):
        top = module.split(".")[0]
        assert top in sys.stdlib_module_names or top in ("numpy", PACKAGE), f"the core must not know {module}"
        assert top not in IMPURE, f"{module}: no input, output or clock in the core"
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in ("open", "print", "input", "hash")]


@pytest.mark.parametrize("path", modules("clients"), ids=name)
def test_a_client_knows_the_wire_protocol_and_nothing_else(path: Path) -> None:
    for module in imports_of(path):
        if module.split(".")[0] == PACKAGE:
            assert module.startswith(f"{PACKAGE}.core.messages")


@pytest.mark.parametrize("path", modules("models"), ids=name)
def test_what_makes_weights_knows_the_package_and_neither_clients_nor_tests(path: Path) -> None:
    for module in imports_of(path):
        assert module.split(".")[0] not in ("tests", "benchmarks", "clients")


def test_the_walk_sees_every_kind_of_import() -> None:
    source = "import a.b\nfrom c import d\ndef f():\n    from musicmed_live.service import live\n"
    found = list(imports(ast.parse(source)))
    assert found == ["a.b", "c.d", "musicmed_live.service.live"]
    assert layer(found[-1]) == "service"


def test_the_command_line_starts_without_torch_and_without_a_sound_card() -> None:
    code = "import sys, musicmed_live.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert PACKAGE in loaded
    assert not loaded & {"torch", "sounddevice", "scipy", "uvicorn", "starlette", "av"}
