"""Cutting ONNX files: a small graph, read, cut and run."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from voxgate.models.convert.onnx_cut import FLOAT, Graph, Inlet, cut, decode_node, read
from voxgate.models.convert.protobuf import data, integer, text


def node(op: str, inputs: str, output: str) -> bytes:
    body = b"".join(text(1, name) for name in inputs.split()) + text(2, output) + text(4, op)
    return data(1, body)


def tensor(name: str, value: float) -> bytes:
    body = integer(1, 1) * 3 + integer(2, FLOAT) + text(8, name) + data(9, np.array([value], "<f4").tobytes())
    return data(5, body)


def whole() -> bytes:
    """(x + two) * x -> half; half * mask -> y."""
    body = node("Add", "x two", "sum") + node("Mul", "sum x", "half") + node("Mul", "half mask", "y")
    body += text(2, "small") + tensor("two", 2.0) + tensor("unused", 9.0)
    shape = data(2, b"".join(data(1, integer(1, 1)) for _ in range(3)))
    body += b"".join(data(11, text(1, name) + data(2, data(1, integer(1, FLOAT) + shape))) for name in ("x", "mask"))
    body += data(12, text(1, "y") + data(2, data(1, integer(1, FLOAT))))
    return integer(1, 9) + data(7, body) + data(8, text(1, "") + integer(2, 18))


def run(content: bytes, **inputs: float) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    feed = {name: np.full((1, 1, 1), value, np.float32) for name, value in inputs.items()}
    return {name: float(value.ravel()[0]) for name, value in zip(names, session.run(names, feed), strict=True)}


X = Inlet("x", FLOAT, (1, 1, 1))


def test_reading() -> None:
    graph = read(whole())
    assert graph.inputs == ("x", "mask")
    assert [each.op for each in graph.nodes] == ["Add", "Mul", "Mul"]
    assert set(graph.constants) == {"two", "unused"}
    assert graph.making("half").inputs == ("sum", "x")
    assert [each.outputs for each in graph.reading("x")] == [("sum",), ("half",)]
    assert graph.only("Mul", reading="mask").outputs == ("y",)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, whole()[:-30]])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"graph|protobuf"):
        read(content)


def test_a_graph_that_is_not_as_expected_says_so() -> None:
    graph = read(whole())
    with pytest.raises(ValueError, match="nothing makes 'z'"):
        graph.making("z")
    with pytest.raises(ValueError, match="expected one Mul reading anything, found 2"):
        graph.only("Mul")


def test_the_halves_make_the_whole() -> None:
    graph = read(whole())
    first = cut(graph, {"x": X}, {"half": "middle"})
    inlets = {"half": Inlet("middle", FLOAT, (1, 1, None)), "mask": Inlet("mask", FLOAT, (1, 1, 1))}
    second = cut(graph, inlets, {"y": "y"})
    middle = run(first, x=3.0)["middle"]
    assert middle == 15.0
    assert run(second, middle=middle, mask=0.5) == {"y": 7.5} == run(whole(), x=3.0, mask=0.5)
    assert b"unused" not in first + second
    assert b"two" not in second


def test_a_tensor_may_become_one() -> None:
    part = cut(read(whole()), {"mask": Inlet("mask", FLOAT, (1, 1, 1))}, {"y": "y"}, {"half": "one"})
    assert run(part, mask=3.0) == {"y": 3.0}


def test_an_input_that_is_not_named_is_refused() -> None:
    with pytest.raises(ValueError, match="mask is read behind the cut"):
        cut(read(whole()), {"x": X}, {"y": "y"})


def test_an_output_that_nothing_makes_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing makes z"):
        cut(read(whole()), {"x": X}, {"z": "z"})


def test_the_same_graph_gives_the_same_bytes() -> None:
    one, two = (cut(read(whole()), {"x": X}, {"half": "half"}) for _ in range(2))
    assert one == two


def test_a_node_is_what_it_encodes() -> None:
    encoded = memoryview(text(1, "a") + text(1, "b") + text(2, "c") + text(3, "name") + text(4, "Add"))
    assert decode_node(encoded).inputs == ("a", "b")
    assert isinstance(read(whole()), Graph)
