"""Writing an ONNX file: deterministic, and one tensor in memory at a time.

Protocol Buffers put a length before every message, the graph included, so sizes are computed first and the tensors,
which make up all but a sliver of the file, are made, written and forgotten one by one.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxgate.models.convert import protobuf as pb
from voxgate.models.convert.ort_format import DTYPES, Array, Node

_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
_IR_VERSION = 8
"""Of the file format itself; 8 is what onnx 1.10 to 1.12 wrote and every onnxruntime we admit reads."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor that is made when it is written."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    make: Callable[[], Array]

    @classmethod
    def of(cls, value: Array | np.generic) -> "Constant":
        """A constant that exists already."""
        array = np.asarray(value)
        return cls(array.dtype, array.shape, lambda: array)

    @property
    def nbytes(self) -> int:
        """Bytes of its data in the file."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of the graph."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]
    """A name stands for a length that varies from call to call."""


def write(
    path: Path,
    nodes: Sequence[Node],
    constants: Mapping[str, Constant],
    inputs: Iterable[Value],
    outputs: Iterable[Value],
    opsets: Mapping[str, int],
    producer: str,
) -> None:
    """Write a graph; `nodes` in an order in which each finds its inputs made. Equal arguments give equal bytes.

    Raises ValueError for an attribute or a type that is not known here, OSError where the disk refuses.
    """
    head = b"".join(pb.data(1, _node(node)) for node in nodes) + pb.text(2, "graph")
    tensors = [(_tensor_head(name, constant), constant) for name, constant in sorted(constants.items())]
    tail = b"".join(pb.data(11, _value(value)) for value in inputs)
    tail += b"".join(pb.data(12, _value(value)) for value in outputs)
    framed = [(_framed(5, header, constant.nbytes), constant) for header, constant in tensors]
    size = len(head) + len(tail) + sum(len(frame) + constant.nbytes for frame, constant in framed)
    with path.open("wb") as file:
        file.write(pb.integer(1, _IR_VERSION) + pb.text(2, producer))
        file.write(pb.varint(7 << 3 | pb.BYTES) + pb.varint(size) + head)
        for frame, constant in framed:
            array = np.ascontiguousarray(constant.make())
            if array.nbytes != constant.nbytes or array.dtype != constant.dtype:
                raise ValueError(f"a constant of shape {constant.shape} was made as {array.dtype} {array.shape}")
            file.write(frame)
            file.write(array.tobytes() if array.ndim == 0 else array.data)
        file.write(tail)
        for domain, version in sorted(opsets.items()):
            file.write(pb.data(8, pb.text(1, domain) + pb.integer(2, version)))


def _tensor_head(name: str, constant: Constant) -> bytes:
    """A TensorProto up to its raw data: dims, data_type, name, and the key and length of raw_data."""
    dims = b"".join(pb.integer(1, length) for length in constant.shape)
    described = dims + pb.integer(2, _number(constant.dtype)) + pb.text(8, name)
    return described + pb.varint(9 << 3 | pb.BYTES) + pb.varint(constant.nbytes)


def _framed(field: int, header: bytes, following: int) -> bytes:
    """The start of a message field whose last `following` bytes are written separately."""
    return pb.varint(field << 3 | pb.BYTES) + pb.varint(len(header) + following) + header


def _number(dtype: np.dtype[Any]) -> int:
    if dtype not in _NUMBERS:
        raise ValueError(f"tensors of {dtype} are not known here")
    return _NUMBERS[dtype]


def _node(node: Node) -> bytes:
    out = b"".join(pb.text(1, name) for name in node.inputs) + b"".join(pb.text(2, name) for name in node.outputs)
    out += pb.text(3, node.name) + pb.text(4, node.op)
    out += b"".join(pb.data(5, _attribute(name, value)) for name, value in node.attributes.items())
    return out + (pb.text(7, node.domain) if node.domain else b"")


def _float(field: int, value: float) -> bytes:
    return pb.varint(field << 3 | pb.FIXED32) + struct.pack("<f", value)


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        kind, body = 1, _float(2, value)
    elif isinstance(value, int):
        kind, body = 2, pb.integer(3, value)
    elif isinstance(value, bytes):
        kind, body = 3, pb.data(4, value)
    elif isinstance(value, np.ndarray):
        tensor = Constant.of(value)
        kind, body = 4, pb.data(5, _tensor_head("", tensor) + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple) and value and all(isinstance(item, float) for item in value):
        kind, body = 6, b"".join(_float(7, item) for item in value)
    elif isinstance(value, tuple) and all(isinstance(item, int) for item in value):
        kind, body = 7, b"".join(pb.integer(8, item) for item in value)
    else:
        raise ValueError(f"attribute {name} holds {type(value).__name__}, which is not known here")
    return pb.text(1, name) + body + pb.integer(20, kind)


def _value(value: Value) -> bytes:
    shape = b"".join(
        pb.data(1, pb.text(2, length) if isinstance(length, str) else pb.integer(1, length)) for length in value.shape
    )
    tensor_type = pb.integer(1, _number(value.dtype)) + pb.data(2, shape)
    return pb.text(1, value.name) + pb.data(2, pb.data(1, tensor_type))
