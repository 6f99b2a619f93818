"""Reading onnxruntime's own model format (`.ort`): a graph as plain values, its tensors as views of the mapped file.

An `.ort` file is one FlatBuffer. onnxruntime ships a generated reader, but as an unimportable top-level package deep in
its wheel; the seven tables a graph needs take fewer lines than the detour, and nothing is copied on the way.
Field numbers follow `onnxruntime/core/flatbuffers/schema/ort.fbs` (format versions 4 to 6; fields are only ever added),
the encoding https://flatbuffers.dev/internals/. A test compares every field with onnxruntime's generated reader.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DTYPES: Mapping[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    9: np.dtype(np.bool_),
}
"""ONNX's (and the format's) number of a tensor type -> numpy's, as far as the models need them."""

_FILE_IDENTIFIER = b"ORTM"


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of a graph. An absent optional input is an empty name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """Name -> float, int, bytes, array, Graph, or a tuple of floats or of ints."""
    name: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Operators and constants, in the order of the file."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read(path: Path) -> tuple[Graph, dict[str, int]]:
    """The main graph of an `.ort` file, and the operator sets it was written for (domain -> version).

    Raises ValueError where the file is not in this format, or holds a kind of value the models do not use.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        if data[4:8] != _FILE_IDENTIFIER:
            raise ValueError(f"{path.name} is not an onnxruntime model")
        model = _Table(data, _u32(data, 0)).table(1)
        graph = None if model is None else model.table(7)
        if model is None or graph is None:
            raise ValueError(f"{path.name} holds no graph")
        return _graph(graph), {o.text(0): o.scalar(1, "<q", 0) for o in model.tables(1)}
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as broken:
        raise ValueError(f"{path.name} is broken: {broken}") from broken


def _u32(data: mmap.mmap, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


class _Table:
    """One FlatBuffer table: its first four bytes lead back to a vtable, which says where each field lies."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data, self._at = data, at
        self._vtable = at - struct.unpack_from("<i", data, at)[0]
        self._size = struct.unpack_from("<H", data, self._vtable)[0]

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot >= self._size:
            return None
        offset = struct.unpack_from("<H", self._data, self._vtable + slot)[0]
        return self._at + offset if offset else None

    def _target(self, number: int) -> int | None:
        at = self._field(number)
        return None if at is None else at + _u32(self._data, at)

    def scalar(self, number: int, kind: str, default: Any) -> Any:
        at = self._field(number)
        return default if at is None else struct.unpack_from(kind, self._data, at)[0]

    def table(self, number: int) -> "_Table | None":
        at = self._target(number)
        return None if at is None else _Table(self._data, at)

    def vector(self, number: int, dtype: str) -> Array:
        at = self._target(number)
        if at is None:
            return np.zeros(0, dtype)
        return np.frombuffer(self._data, dtype, _u32(self._data, at), at + 4)

    def text(self, number: int) -> str:
        return self.vector(number, "u1").tobytes().decode()

    def _pointers(self, number: int) -> list[int]:
        at = self._target(number)
        if at is None:
            return []
        return [slot + _u32(self._data, slot) for slot in range(at + 4, at + 4 + 4 * _u32(self._data, at), 4)]

    def tables(self, number: int) -> "list[_Table]":
        return [_Table(self._data, at) for at in self._pointers(number)]

    def texts(self, number: int) -> tuple[str, ...]:
        return tuple(
            bytes(self._data[at + 4 : at + 4 + _u32(self._data, at)]).decode() for at in self._pointers(number)
        )


def _graph(table: _Table) -> Graph:
    numbered = sorted(((node.scalar(4, "<I", 0), node) for node in table.tables(2)), key=lambda pair: pair[0])
    return Graph(
        nodes=tuple(_node(node) for _, node in numbered),
        constants={tensor.text(0): _tensor(tensor) for tensor in table.tables(0)},
        inputs=table.texts(5),
        outputs=table.texts(6),
    )


def _node(table: _Table) -> Node:
    return Node(
        op=table.text(5),
        inputs=table.texts(8),
        outputs=table.texts(9),
        attributes={attribute.text(0): _attribute(attribute) for attribute in table.tables(10)},
        name=table.text(0),
        domain=table.text(2),
    )


def _tensor(table: _Table) -> Array:
    dtype = DTYPES[table.scalar(3, "<i", 0)]
    return table.vector(4, "u1").view(dtype).reshape(table.vector(2, "<i8"))


def _attribute(table: _Table) -> Any:
    kind = table.scalar(2, "<i", 0)
    if kind == 1:
        return float(table.scalar(3, "<f", 0.0))
    if kind == 2:
        return int(table.scalar(4, "<q", 0))
    if kind == 3:
        return table.vector(5, "u1").tobytes()
    if kind in (4, 5):
        inner = table.table(kind + 2)
        if inner is None:
            raise ValueError(f"attribute {table.text(0)} is empty")
        return _tensor(inner) if kind == 4 else _graph(inner)
    if kind == 6:
        return tuple(float(value) for value in table.vector(8, "<f4"))
    if kind == 7:
        return tuple(int(value) for value in table.vector(9, "<i8"))
    raise ValueError(f"attribute {table.text(0)} is of kind {kind}, which is not known here")
