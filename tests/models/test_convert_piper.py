"""The converter on a made-up voice with the structure of VITS and a handful of weights, and on the real one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.engines.piper_voice import published_voice
from voxgate.errors import Code, ModelError
from voxgate.models.convert.piper import ENCODER, FLOW, VOCODER, VOICE, convert, selftest
from voxgate.models.convert.protobuf import data, integer, text

FLOAT, INT64 = 1, 7
RANDOM = np.random.default_rng(3)
WEIGHTS: dict[str, NDArray[Any]] = {
    "emb": RANDOM.standard_normal((8, 2)).astype("<f4"),
    "enc_p.proj.weight": RANDOM.standard_normal((4, 2, 1)).astype("<f4"),
    "flow.weight": RANDOM.standard_normal((2, 2, 3)).astype("<f4"),
    "dec.conv_pre.weight": RANDOM.standard_normal((1, 2, 1)).astype("<f4"),
    "i0": np.array(0, "<i8"),
    "i1": np.array(1, "<i8"),
    "i2": np.array(2, "<i8"),
    "axis1": np.array([1], "<i8"),
}


def node(op: str, inputs: str, outputs: str, **attributes: int | tuple[int, ...]) -> bytes:
    body = b"".join(text(1, name) for name in inputs.split()) + b"".join(text(2, name) for name in outputs.split())
    body += text(4, op)
    for name, value in attributes.items():
        if isinstance(value, int):
            body += data(5, text(1, name) + integer(3, value) + integer(20, 2))
        else:
            body += data(5, text(1, name) + b"".join(integer(8, each) for each in value) + integer(20, 7))
    return body


NODES = [
    node("Gather", "emb input", "embedded"),
    node("Transpose", "embedded", "x", perm=(0, 2, 1)),
    node("Equal", "input input", "same"),
    node("Cast", "same", "flat_mask", to=FLOAT),
    node("Unsqueeze", "flat_mask axis1", "text_mask"),
    node("Conv", "x enc_p.proj.weight", "projected"),
    node("Mul", "projected text_mask", "stats"),
    node("Split", "stats", "m logs", axis=1, num_outputs=2),
    node("RandomNormalLike", "x", "draw_1"),
    node("Gather", "scales i2", "noise_w"),
    node("Mul", "draw_1 noise_w", "dp_noise"),
    node("Add", "x dp_noise", "dp"),
    node("Split", "dp", "logw rest", axis=1, num_outputs=2),
    node("Exp", "logw", "w_raw"),
    node("Mul", "w_raw text_mask", "w"),
    node("Gather", "scales i1", "length_scale"),
    node("Mul", "w length_scale", "w_scaled"),
    node("Ceil", "w_scaled", "w_ceil"),
    node("Cast", "w_ceil", "frame_mask_source", to=FLOAT),
    node("Sign", "frame_mask_source", "frame_mask"),
    node("RandomNormalLike", "m", "draw_2"),
    node("Exp", "logs", "spread"),
    node("Mul", "draw_2 spread", "wide"),
    node("Gather", "scales i0", "noise_scale"),
    node("Mul", "wide noise_scale", "noise"),
    node("Add", "m noise", "z_p"),
    node("Conv", "z_p flow.weight", "flowed", pads=(1, 1)),
    node("Mul", "flowed frame_mask", "z"),
    node("Conv", "z dec.conv_pre.weight", "pre"),
    node("Tanh", "pre", "output"),
]


def model(nodes: list[bytes], inputs: tuple[str, ...] = ("input", "input_lengths", "scales")) -> bytes:
    body = b"".join(data(1, each) for each in nodes) + text(2, "tiny")
    for name, weight in WEIGHTS.items():
        kind = INT64 if weight.dtype.kind == "i" else FLOAT
        dims = b"".join(integer(1, size) for size in weight.shape)
        body += data(5, dims + integer(2, kind) + text(8, name) + data(9, weight.tobytes()))
    for name in inputs:
        tensor = integer(1, FLOAT if name == "scales" else INT64)
        body += data(11, text(1, name) + data(2, data(1, tensor)))
    body += data(12, text(1, "output") + data(2, data(1, integer(1, FLOAT))))
    return integer(1, 9) + data(7, body) + data(8, text(1, "") + integer(2, 18))


def write(folder: Path, content: bytes, **description: Any) -> Path:
    folder.mkdir()
    (folder / "tiny.onnx").write_bytes(content)
    (folder / "tiny.onnx.json").write_text(json.dumps({"num_speakers": 1} | description), encoding="utf-8")
    return folder


def run(path: Path, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == list(inputs)
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def test_the_parts_compute_what_the_whole_did(tmp_path: Path) -> None:
    source, target = write(tmp_path / "source", model(NODES)), tmp_path / "target"
    convert(source, target)
    ids = np.array([[3, 1, 4, 1, 5]])
    noise = RANDOM.standard_normal((1, 2, 5)).astype(np.float32)
    encoded = run(target / ENCODER, {"ids": ids, "duration_noise": noise})
    x = WEIGHTS["emb"][ids[0]].T[None]
    stats = np.einsum("oi,bin->bon", WEIGHTS["enc_p.proj.weight"][:, :, 0], x)
    np.testing.assert_allclose(encoded["mean"], stats[:, :2], rtol=1e-5)
    np.testing.assert_allclose(encoded["log_scale"], stats[:, 2:], rtol=1e-5)
    np.testing.assert_allclose(encoded["lengths"], np.exp(x + noise)[:, :1], rtol=1e-5)

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    whole = onnxruntime.InferenceSession(model(NODES), options, providers=["CPUExecutionProvider"])
    silent = {"input": ids, "input_lengths": np.array([5]), "scales": np.array([0, 1, 0], np.float32)}
    latent = run(target / FLOW, {"prior": encoded["mean"]})["latent"]
    audio = run(target / VOCODER, {"latent": latent})["audio"]
    np.testing.assert_array_equal(audio, whole.run(["output"], silent)[0])
    assert json.loads((target / VOICE).read_text(encoding="utf-8"))["num_speakers"] == 1


def test_the_same_bytes_in_give_the_same_bytes_out(tmp_path: Path) -> None:
    source = write(tmp_path / "source", model(NODES))
    convert(source, tmp_path / "one")
    convert(source, tmp_path / "two")
    for name in (ENCODER, FLOW, VOCODER, VOICE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_each_part_holds_only_the_weights_it_needs(tmp_path: Path) -> None:
    convert(write(tmp_path / "source", model(NODES)), tmp_path / "target")
    holders = {
        weight: [
            part for part in (ENCODER, FLOW, VOCODER) if weight.encode() in (tmp_path / "target" / part).read_bytes()
        ]
        for weight in ("emb", "enc_p.proj.weight", "flow.weight", "dec.conv_pre.weight")
    }
    assert holders == {
        "emb": [ENCODER],
        "enc_p.proj.weight": [ENCODER],
        "flow.weight": [FLOW],
        "dec.conv_pre.weight": [VOCODER],
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no graph"),
        (b"\xff" * 40, "tiny"),
        (model(NODES)[:-300], "tiny"),
        (model([each for each in NODES if b"Ceil" not in each]), "Ceil"),
        (model([each for each in NODES if b"draw_2 spread" not in each and b"draw_2" not in each]), "two random draws"),
        (model([*NODES, node("Conv", "z dec.conv_pre.weight", "again")]), "found 2"),
        (model(NODES, ("input", "input_lengths", "scales", "sid")), "sid"),
    ],
)
def test_what_is_no_such_voice_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(ModelError, match=what) as caught:
        convert(write(tmp_path / "source", content), tmp_path / "target")
    assert caught.value.code is Code.MODEL_BROKEN


def test_a_voice_of_several_speakers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="904 speakers"):
        convert(write(tmp_path / "source", model(NODES), num_speakers=904), tmp_path / "target")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found 0"):
        convert(tmp_path, tmp_path / "target")


@pytest.mark.slow
def test_the_self_test_notices_a_damaged_voice(tmp_path: Path) -> None:
    convert(published_voice(), tmp_path)
    selftest(tmp_path)
    (tmp_path / VOCODER).write_bytes((tmp_path / VOCODER).read_bytes()[:-100_000])
    with pytest.raises(ModelError, match="does not run"):
        selftest(tmp_path)


@pytest.mark.slow
def test_the_real_voice_says_the_same_whole_and_cut(tmp_path: Path) -> None:
    source = published_voice()
    convert(source, tmp_path)
    ids = np.array([[1, *np.ravel([[0, each] for each in (20, 61, 24, 59, 100, 3, 27, 39, 51, 14, 74, 10)]), 0, 2]])
    silent = {"input": ids, "input_lengths": np.array([ids.size]), "scales": np.array([0, 1, 0], np.float32)}
    whole = onnxruntime.InferenceSession(str(next(source.glob("*.onnx"))), providers=["CPUExecutionProvider"]).run(
        None, silent
    )[0]
    noise = np.zeros((1, 2, ids.size), np.float32)
    encoded = run(tmp_path / ENCODER, {"ids": ids, "duration_noise": noise})
    prior = np.repeat(encoded["mean"], np.ceil(encoded["lengths"].ravel()).astype(int), axis=2)
    latent = run(tmp_path / FLOW, {"prior": prior})["latent"]
    audio = run(tmp_path / VOCODER, {"latent": latent})["audio"]
    np.testing.assert_allclose(audio.ravel(), whole.ravel(), atol=1e-6)
