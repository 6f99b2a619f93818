"""The converter's rules on graphs of a few nodes, and the whole of it on the published model."""

import hashlib
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.engines.moonshine_data import sources
from voxgate.errors import Code, ModelError
from voxgate.models.convert import moonshine, onnx_file, ort_format
from voxgate.models.convert.moonshine import PRODUCTS, convert, selftest
from voxgate.models.convert.onnx_file import Value
from voxgate.models.convert.ort_format import Array, Node

DIGESTS = {
    "enc.onnx": "efc6e0a2c320718f6a96deae90b636b90c8a8b8bb5aba109f4fc45729ce622e1",
    "dec.onnx": "d86c1579688416121d4227985e4d99c7ea5c8fc36e6d48028e4cf7d6e7aebc69",
    "tokenizer.bin": "04670d78994d030185c3dd843c60591788fed0a56cc6750747bd326825f13ca9",
}
FLOAT, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def dequantized(q: Array, scale: float, zero: float) -> tuple[list[Node], dict[str, Array]]:
    """A weight as the published graphs hold it."""
    constants = {
        "q": q,
        "scale": np.array([scale], np.float32),
        "shift": np.array([-zero * scale], np.float32),
    }
    nodes = [
        Node("Cast", ("q",), ("cast",), {"to": 1}),
        Node("Mul", ("cast", "scale"), ("mul",), {}),
        Node("Add", ("mul", "shift"), ("w",), {}),
    ]
    return nodes, constants


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("zero", [-128, -3, 0, 127])
def test_a_product_by_a_weight_is_done_on_its_integers(tmp_path: Path, zero: int, *, transposed: bool) -> None:
    random = np.random.default_rng(zero + 128)
    q = random.integers(-128, 128, (5, 7), np.int8)
    nodes, constants = dequantized(q, 0.25, zero)
    weight = "w"
    if transposed:
        nodes.append(Node("Transpose", ("w",), ("wt",), {}))
        weight = "wt"
    nodes.append(Node("MatMul", ("x", weight), ("y",), {}))
    width = 7 if transposed else 5
    path = tmp_path / "model.onnx"
    moonshine._write(
        path, nodes, constants, [Value("x", FLOAT, (2, width))], [Value("y", FLOAT, (2, 12 - width))], {"": 14}
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = random.integers(0, 256, (2, width)).astype(np.float32)  # whole numbers that uint8 holds exactly
    x[0, 0], x[1, 1] = 0, 255
    w = (q.astype(np.float32) - zero) * np.float32(0.25)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x @ (w.T if transposed else w))


def test_a_look_up_dequantizes_only_its_rows(tmp_path: Path) -> None:
    q = np.random.default_rng(0).integers(-128, 128, (9, 4), np.int8)
    nodes, constants = dequantized(q, 0.5, 11)
    nodes.append(Node("Gather", ("w", "ids"), ("y",), {"axis": 0}))
    path = tmp_path / "model.onnx"
    moonshine._write(path, nodes, constants, [Value("ids", INT64, ("n",))], [Value("y", FLOAT, ("n", 4))], {"": 14})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ids = np.array([3, 0, 8])
    np.testing.assert_array_equal(
        session.run(None, {"ids": ids})[0], (q[ids].astype(np.float32) - 11) * np.float32(0.5)
    )


@pytest.mark.parametrize("zero", [0.4, 200.0])
def test_a_weight_that_is_no_integer_is_refused(tmp_path: Path, zero: float) -> None:
    nodes, constants = dequantized(np.zeros((2, 2), np.int8), 0.25, zero)
    nodes.append(Node("MatMul", ("x", "w"), ("y",), {}))
    with pytest.raises(ValueError, match="zero point"):
        moonshine._write(
            tmp_path / "m", nodes, constants, [Value("x", FLOAT, (1, 2))], [Value("y", FLOAT, (1, 2))], {"": 14}
        )


def test_nodes_are_put_in_order_and_the_unneeded_left_out() -> None:
    a, b, c = (Node("Op", (source,), (target,), {}) for source, target in ("xy", "yz", "xq"))
    assert moonshine._needed([b, c, a], ["z"], {"x"}) == [a, b]
    with pytest.raises(ValueError, match="nothing makes y"):
        moonshine._needed([b], ["z"], {"x"})


def test_files_that_are_not_moonshine_are_refused(tmp_path: Path) -> None:
    for name in moonshine.SOURCES:
        (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
    with pytest.raises(ModelError) as caught:
        convert(tmp_path, tmp_path / "target")
    assert caught.value.code is Code.MODEL_BROKEN


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("moonshine") / "converted"
    convert(sources(), target)
    return target


@pytest.mark.slow
@pytest.mark.parametrize("name", PRODUCTS)
def test_the_result_is_the_same_everywhere(converted: Path, name: str) -> None:
    assert hashlib.sha256((converted / name).read_bytes()).hexdigest() == DIGESTS[name]


@pytest.mark.slow
def test_no_float_weight_is_left_to_multiply_by(converted: Path) -> None:
    for name in PRODUCTS[:2]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = str(converted / f"seen-{name}.ort")
        onnxruntime.InferenceSession(converted / name, options, providers=["CPUExecutionProvider"])
        graph, _ = ort_format.read(Path(options.optimized_model_filepath))
        plain = [n for n in graph.nodes if n.op == "MatMul" and n.inputs[1] in graph.constants]
        assert not plain
        assert sum(n.op == "DynamicQuantizeMatMul" for n in graph.nodes) > 60


@pytest.mark.slow
def test_the_result_passes_its_test(converted: Path) -> None:
    selftest(converted)


@pytest.mark.slow
def test_a_result_whose_weights_are_wrong_fails_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten_shift(weight: moonshine._Quantized) -> Array:
        return weight.q.view(np.uint8).T if weight.transposed else weight.q.view(np.uint8)

    monkeypatch.setattr(moonshine._Quantized, "unsigned", forgotten_shift)
    convert(sources(), tmp_path)
    with pytest.raises(ModelError, match="answers") as caught:
        selftest(tmp_path)
    assert caught.value.code is Code.MODEL_BROKEN


@pytest.mark.slow
def test_a_result_that_is_cut_short_fails_its_test(converted: Path, tmp_path: Path) -> None:
    for name in PRODUCTS:
        (tmp_path / name).write_bytes((converted / name).read_bytes()[:100_000])
    with pytest.raises(ModelError, match="does not run"):
        selftest(tmp_path)


@pytest.mark.slow
def test_converting_takes_little_memory(tmp_path: Path) -> None:
    """One tensor at a time: 102 MB at most, of which the mapped files are 60; the research code took 1 GB."""
    code = f"""
        import re
        from pathlib import Path
        from voxgate.models.convert.moonshine import convert
        convert(Path({str(sources())!r}), Path({str(tmp_path)!r}))
        print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 200


def test_the_writers_constants_match_the_readers() -> None:
    assert set(onnx_file._NUMBERS.values()) == set(ort_format.DTYPES)
