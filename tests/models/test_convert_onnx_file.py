from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from voxgate.models.convert import onnx_file, protobuf
from voxgate.models.convert.onnx_file import Constant, Value
from voxgate.models.convert.ort_format import Node

FLOAT = np.dtype(np.float32)


def write(
    path: Path, nodes: list[Node], constants: dict[str, Constant], inputs: list[Value], outputs: list[Value]
) -> None:
    onnx_file.write(path, nodes, constants, inputs, outputs, {"": 14}, "test")


def test_what_is_written_runs(tmp_path: Path) -> None:
    """One attribute of each kind that onnxruntime can check: int, float, string, tensor, ints."""
    nodes = [
        Node("Add", ("x", "one"), ("sum",), {}, name="add"),
        Node("Gemm", ("sum", "weight"), ("product",), {"alpha": 0.5, "transB": 1}),
        Node("Transpose", ("product",), ("turned",), {"perm": (1, 0)}),
        Node("Shape", ("turned",), ("shape",), {}),
        Node("ConstantOfShape", ("shape",), ("twos",), {"value": np.array([2], np.float32)}),
        Node("Mul", ("turned", "twos"), ("y",), {}),
    ]
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    constants = {"weight": Constant.of(weight), "one": Constant.of(np.float32(1))}
    path = tmp_path / "model.onnx"
    write(path, nodes, constants, [Value("x", FLOAT, ("n", 3))], [Value("y", FLOAT, (2, "n"))])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).random((4, 3), np.float32)
    (y,) = session.run(None, {"x": x})
    np.testing.assert_allclose(y, ((x + 1) @ weight.T).T, rtol=1e-5)
    assert session.get_inputs()[0].shape == ["n", 3]


def test_constants_are_made_when_they_are_written_and_checked(tmp_path: Path) -> None:
    node = Node("Add", ("x", "c"), ("y",), {})
    values = [Value("x", FLOAT, (3,))], [Value("y", FLOAT, (3,))]
    wrong = Constant(FLOAT, (3,), lambda: np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="was made as"):
        write(tmp_path / "model.onnx", [node], {"c": wrong}, *values)


@pytest.mark.parametrize("value", [None, "text", ("a",), {"a": 1}])
def test_an_attribute_of_an_unknown_kind_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="attribute bad"):
        write(tmp_path / "model.onnx", [Node("Add", (), (), {"bad": value})], {}, [], [])


def test_a_type_of_tensor_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="complex128"):
        write(tmp_path / "model.onnx", [], {"c": Constant.of(np.zeros(1, np.complex128))}, [], [])


@pytest.mark.parametrize(
    ("value", "kind", "field"),
    [(1.5, 1, 2), (-3, 2, 3), (b"s", 3, 4), ((0.5, 1.0), 6, 7), ((1, -2), 7, 8), ((), 7, None)],
)
def test_attributes_are_typed_as_onnx_types_them(tmp_path: Path, value: object, kind: int, field: int | None) -> None:
    path = tmp_path / "model.onnx"
    write(path, [Node("Op", ("a",), ("b",), {"name": value})], {}, [], [])
    (graph,) = [v for number, _, v, _ in protobuf.fields(memoryview(path.read_bytes())) if number == 7]
    assert isinstance(graph, memoryview)
    (node,) = [v for number, _, v, _ in protobuf.fields(graph) if number == 1]
    assert isinstance(node, memoryview)
    (attribute,) = [v for number, _, v, _ in protobuf.fields(node) if number == 5]
    assert isinstance(attribute, memoryview)
    found = {number: v for number, _, v, _ in protobuf.fields(attribute)}
    assert found[20] == kind
    assert set(found) == {1, 20} | ({field} if field else set())


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one.onnx", "two.onnx")]
    constants = {"b": Constant.of(np.ones(3, np.float32)), "a": Constant.of(np.zeros(3, np.float32))}
    for path, given in zip(paths, (constants, dict(reversed(constants.items()))), strict=True):
        write(path, [Node("Add", ("a", "b"), ("y",), {})], given, [], [Value("y", FLOAT, (3,))])
    assert paths[0].read_bytes() == paths[1].read_bytes()
