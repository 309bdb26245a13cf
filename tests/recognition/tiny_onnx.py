"""Tiny ONNX models, written byte by byte: a mean over time or nothing, then one matrix and an offset.

They have the names and shapes of Essentia's published models, so the whole path from sound to a judgement runs on them.
The format is protobuf (onnx.proto3 of ONNX 1.16): each field is its number and kind, then a varint, or a length and
bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLOAT, EXTERNAL, INTS = 1, 1, 7  # of TensorProto, its DataLocation, AttributeProto
BATCH = "batch"

Matrix = NDArray[np.float32]
Dimensions = Sequence[int | str]


def write_embedding(path: Path, matrix: Matrix) -> None:
    """`melspectrogram` (batch, 187, 96) to `embeddings`, the mean over time times `matrix` (96, 200)."""
    nodes = [
        _node("ReduceMean", ["melspectrogram"], "mean", _ints("axes", [1]) + _int("keepdims", 0)),
        _node("MatMul", ["mean", "matrix"], "embeddings"),
    ]
    shapes: tuple[Dimensions, Dimensions] = ([BATCH, 187, len(matrix)], [BATCH, matrix.shape[1]])
    _write(path, nodes, {"matrix": matrix}, ("melspectrogram", shapes[0]), ("embeddings", shapes[1]))


def write_head(path: Path, matrix: Matrix, offset: Matrix, elsewhere: str = "") -> None:
    """`model/Placeholder` (batch, 200) to `model/Identity`: times `matrix` (200, 2), plus `offset` (2,).

    With `elsewhere`, the offset is said to be in that file.
    """
    nodes = [
        _node("MatMul", ["model/Placeholder", "matrix"], "product"),
        _node("Add", ["product", "offset"], "model/Identity"),
    ]
    shapes: tuple[Dimensions, Dimensions] = ([BATCH, len(matrix)], [BATCH, matrix.shape[1]])
    constants = {"matrix": matrix, "offset": offset}
    _write(path, nodes, constants, ("model/Placeholder", shapes[0]), ("model/Identity", shapes[1]), elsewhere)


def _write(
    path: Path,
    nodes: Sequence[bytes],
    constants: dict[str, Matrix],
    given: tuple[str, Dimensions],
    answer: tuple[str, Dimensions],
    elsewhere: str = "",
) -> None:
    graph = b"".join(_field(1, node) for node in nodes) + _text(2, "tiny")
    for name, values in constants.items():
        graph += _field(5, _tensor(name, values, elsewhere if name == "offset" else ""))
    graph += _field(11, _value(*given)) + _field(12, _value(*answer))
    operators = _text(1, "") + _number(2, 13)
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, operators))


def _node(kind: str, inputs: Sequence[str], output: str, attributes: bytes = b"") -> bytes:
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind) + attributes


def _int(name: str, value: int) -> bytes:
    return _field(5, _text(1, name) + _number(3, value) + _number(20, 2))


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _field(5, _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, INTS))


def _tensor(name: str, values: Matrix, elsewhere: str) -> bytes:
    about = b"".join(_number(1, size) for size in values.shape) + _number(2, FLOAT) + _text(8, name)
    if elsewhere:
        return about + _field(13, _text(1, "location") + _text(2, elsewhere)) + _number(14, EXTERNAL)
    return about + _field(9, values.astype("<f4").tobytes())


def _value(name: str, dimensions: Dimensions) -> bytes:
    shape = b"".join(_field(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in dimensions)
    return _text(1, name) + _field(2, _field(1, _number(1, FLOAT) + _field(2, shape)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
