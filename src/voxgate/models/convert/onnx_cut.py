"""Cutting an ONNX file into smaller ones: nodes, attributes and weights are copied as they are, only names change.

A published graph runs from text to the last sample in one go. Cut where little passes from one half to the other, its
halves run one after the other, in windows, or with something done in between. ONNX field numbers:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from voxgate.models.convert.protobuf import BYTES, data, fields, integer, text

FLOAT, INT64 = 1, 7
"""onnx.TensorProto.DataType."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the graph, still encoded, with what wiring needs decoded."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    encoded: memoryview


@dataclass(frozen=True, slots=True)
class Graph:
    """What is read of a model file: nodes in topological order, constants by name, and the parts copied as they are.

    Its methods raise ValueError where the graph is not as expected.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, memoryview]
    inputs: tuple[str, ...]
    versions: bytes
    """ir_version and opset_import, encoded."""

    def making(self, tensor: str) -> Node:
        """The node whose output `tensor` is."""
        for node in self.nodes:
            if tensor in node.outputs:
                return node
        raise ValueError(f"nothing makes {tensor!r}")

    def reading(self, tensor: str) -> tuple[Node, ...]:
        """The nodes that have `tensor` among their inputs."""
        return tuple(node for node in self.nodes if tensor in node.inputs)

    def only(self, op: str, *, reading: str = "") -> Node:
        """The one node of this kind (that reads this tensor); there must be exactly one."""
        found = [node for node in self.nodes if node.op == op and (not reading or reading in node.inputs)]
        if len(found) != 1:
            raise ValueError(f"expected one {op} reading {reading or 'anything'}, found {len(found)}")
        return found[0]


@dataclass(frozen=True, slots=True)
class Inlet:
    """An input of a part."""

    name: str
    """As the part calls it."""
    kind: int
    """FLOAT or INT64."""
    shape: tuple[int | None, ...]
    """None where the size is free."""


def read(content: bytes) -> Graph:
    """Decode as much of a model file as cutting needs. Raises ValueError on bytes that are no protobuf."""
    versions = bytearray()
    body: memoryview | None = None
    for number, kind, value, raw in fields(memoryview(content)):
        if number in (1, 8):
            versions += raw
        elif number == 7 and kind == BYTES and isinstance(value, memoryview):
            body = value
    if body is None:
        raise ValueError("no graph in it")
    nodes: list[Node] = []
    constants: dict[str, memoryview] = {}
    inputs: list[str] = []
    for number, _, value, _ in fields(body):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            nodes.append(decode_node(value))
        elif number == 5:
            constants[_string(value, 8)] = value
        elif number == 11:
            inputs.append(_string(value, 1))
    return Graph(tuple(nodes), constants, tuple(inputs), bytes(versions))


def cut(
    graph: Graph,
    inputs: Mapping[str, Inlet],
    outputs: Mapping[str, str],
    ones: Mapping[str, str] | None = None,
) -> bytes:
    """A model file of what lies between `inputs` and `outputs`, encoded. Deterministic.

    `inputs`: old name -> the new input. `outputs`: old name -> new name, all of them FLOAT. `ones`: tensors that become
    a constant 1 of shape [1, 1, 1] under the given name. Raises ValueError where the part reads more than `inputs`.
    """
    ones = ones or {}
    names = {old: inlet.name for old, inlet in inputs.items()} | dict(outputs) | dict(ones)
    needed = set(outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        made = needed.intersection(node.outputs)
        if made and not made <= inputs.keys() | ones.keys():
            kept.append(node)
            needed.update(node.inputs)
    loose = needed & set(graph.inputs) - inputs.keys()
    if loose:
        raise ValueError(f"{', '.join(sorted(loose))} is read behind the cut")
    made_here = {name for node in kept for name in node.outputs}
    unmade = needed - made_here - inputs.keys() - ones.keys() - graph.constants.keys() - {""}  # "": input left out
    if unmade:
        raise ValueError(f"nothing makes {', '.join(sorted(unmade))}")
    body = bytearray()
    for node in reversed(kept):
        body += data(1, _rename(node.encoded, names))
    body += text(2, "voxgate")
    for name, tensor in graph.constants.items():
        if name in needed:
            body += data(5, bytes(tensor))
    for new in sorted({ones[name] for name in needed & ones.keys()}):
        dims = integer(1, 1) * 3
        body += data(5, dims + integer(2, FLOAT) + text(8, new) + data(9, np.ones(1, "<f4").tobytes()))
    for inlet in inputs.values():
        body += data(11, _value(inlet.name, inlet.kind, inlet.shape))
    for new in outputs.values():
        body += data(12, _value(new, FLOAT, None))
    return graph.versions + text(2, "voxgate") + data(7, bytes(body))


def decode_node(encoded: memoryview) -> Node:
    """The node that a NodeProto encodes."""
    inputs: list[str] = []
    outputs: list[str] = []
    op = ""
    for number, _, value, _ in fields(encoded):
        if number > 4 or not isinstance(value, memoryview):
            continue
        name = str(value, "utf-8")
        if number == 1:
            inputs.append(name)
        elif number == 2:
            outputs.append(name)
        elif number == 4:
            op = name
    return Node(op, tuple(inputs), tuple(outputs), encoded)


def _rename(node: memoryview, names: Mapping[str, str]) -> bytes:
    """The node with inputs and outputs renamed, everything else as it was."""
    out = bytearray()
    for number, _, value, raw in fields(node):
        if number in (1, 2) and isinstance(value, memoryview):
            name = str(value, "utf-8")
            out += text(number, names.get(name, name))
        else:
            out += raw
    return bytes(out)


def _value(name: str, kind: int, shape: Iterable[int | None] | None) -> bytes:
    """A ValueInfoProto: the name and type of an input or output; sizes that are None stay free."""
    tensor = integer(1, kind)
    if shape is not None:
        dims = (integer(1, size) if size is not None else text(2, f"{name}_{at}") for at, size in enumerate(shape))
        tensor += data(2, b"".join(data(1, dim) for dim in dims))
    return text(1, name) + data(2, data(1, tensor))


def _string(message: memoryview, field: int) -> str:
    """The string in a message's `field`, empty if it is not there."""
    for number, _, value, _ in fields(message):
        if number == field and isinstance(value, memoryview):
            return str(value, "utf-8")
    return ""
