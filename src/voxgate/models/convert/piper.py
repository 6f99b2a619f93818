"""A published Piper voice, cut into the three graphs that let it speak before it has thought to the end.

A Piper voice is VITS (Kim, Kong, Son: "Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech", arXiv 2106.06103) as one ONNX graph: text in, the whole waveform out. Only its text encoder and its
duration predictor look at the whole text. What follows is convolution with a finite reach, so it may run in windows:

    encoder.onnx   ids, duration_noise -> mean, log_scale, lengths       whole piece, once
                   (the length regulator and the latent noise are a few lines of numpy between the two graphs)
    flow.onnx      prior -> latent                                       in windows, FLOW_REACH frames either side
    vocoder.onnx   latent -> audio                                       in windows, VOCODER_REACH frames either side

Both random draws become inputs, so a seed gives the same speech again; both masks become the constant 1 (one text a
run, nothing is padded). Node for node the arithmetic is the published one.

Cut points are found by structure (the only Ceil, the convolution that reads `dec.conv_pre.weight` …), because the names
of intermediate tensors differ from voice to voice.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxgate.errors import Code, ModelError
from voxgate.models.convert.onnx_cut import FLOAT, INT64, Graph, Inlet, cut, read

VERSION = 1
"""Raised whenever the written graphs change, so that stores convert again."""

ENCODER, FLOW, VOCODER, VOICE = "encoder.onnx", "flow.onnx", "vocoder.onnx", "voice.json"
"""The files `convert` writes."""

FLOW_REACH = 32
"""Frames either side that one frame of the flow depends on: 4 couplings x 4 convolutions of 5 taps, 2 each side."""

VOCODER_REACH = 10
"""Frames either side after which HiFi-GAN's answer no longer changes: 1e-6 at 10, 6e-4 at 8 (measured 2026-10, joe)."""


@dataclass(frozen=True, slots=True)
class _Cuts:
    """The names of the tensors at which the graph is cut."""

    ids: str
    text_mask: str
    duration_noise: str
    mean: str
    log_scale: str
    lengths: str
    frame_mask: str
    prior: str
    latent: str
    audio: str


def convert(source: Path, target: Path) -> None:
    """Write the three graphs and the voice's description from `source` (one .onnx and its .onnx.json) into `target`.

    Deterministic: the same bytes in give the same bytes out. Raises ModelError `model_broken` for a graph that is not
    a single-speaker Piper voice.
    """
    found = sorted(source.glob("*.onnx"))
    if len(found) != 1:
        raise _unknown(f"expected one .onnx file beside its .onnx.json, found {len(found)}")
    described = found[0].with_name(found[0].name + ".json")
    try:
        voice = json.loads(described.read_text(encoding="utf-8"))
        speakers = int(voice["num_speakers"])
        graph = read(found[0].read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise _unknown(f"{described.stem}: {error}") from error
    if speakers > 1:
        raise _unknown(f"{speakers} speakers; only voices of one speaker are converted")
    try:
        parts = _parts(graph)
    except ValueError as error:
        raise _unknown(str(error)) from error
    target.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        (target / name).write_bytes(content)
    shutil.copyfile(described, target / VOICE)


def selftest(target: Path) -> None:
    """Run the converted graphs once, in windows and at one go, and compare. Raises ModelError if they disagree."""
    import onnxruntime

    def session(name: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(target / name, options, providers=["CPUExecutionProvider"])

    try:
        encoder, flow, vocoder = session(ENCODER), session(FLOW), session(VOCODER)
        ids = np.array([[1, 0, 20, 0, 61, 0, 24, 0, 59, 0, 100, 0, 10, 0, 2]], np.int64)
        mean, _, lengths = encoder.run(None, {"ids": ids, "duration_noise": np.zeros((1, 2, ids.shape[1]), np.float32)})
        prior = np.repeat(mean, np.ceil(lengths.ravel()).astype(np.int64), axis=2)
        latent = flow.run(None, {"prior": prior})[0]
        whole = vocoder.run(None, {"latent": latent})[0].ravel()
        frames = latent.shape[2]
        middle = frames // 2
        left = flow.run(None, {"prior": prior[:, :, : middle + FLOW_REACH + VOCODER_REACH]})[0]
        part = vocoder.run(None, {"latent": left[:, :, : middle + VOCODER_REACH]})[0].ravel()
    except Exception as error:
        raise _unknown(f"the converted voice does not run: {error}") from error
    hop, rest = divmod(whole.size, frames)
    difference = float(np.abs(part[: middle * hop] - whole[: middle * hop]).max()) if not rest and middle else np.inf
    if not (np.isfinite(whole).all() and difference < 1e-4 and np.abs(whole).max() > 0.01):
        raise _unknown(f"windows differ from the whole by {difference:.2g}")


def _parts(graph: Graph) -> dict[str, bytes]:
    """The three graphs, by file name. Raises ValueError for a graph of another structure."""
    cuts = _find(graph)
    one = {cuts.text_mask: "one", cuts.frame_mask: "one"}
    return {
        ENCODER: cut(
            graph,
            {
                cuts.ids: Inlet("ids", INT64, (1, None)),
                cuts.duration_noise: Inlet("duration_noise", FLOAT, (1, 2, None)),
            },
            {cuts.mean: "mean", cuts.log_scale: "log_scale", cuts.lengths: "lengths"},
            one,
        ),
        FLOW: cut(graph, {cuts.prior: Inlet("prior", FLOAT, (1, None, None))}, {cuts.latent: "latent"}, one),
        VOCODER: cut(graph, {cuts.latent: Inlet("latent", FLOAT, (1, None, None))}, {cuts.audio: "audio"}, one),
    }


def _find(graph: Graph) -> _Cuts:
    """Where to cut, by what the operations are and which weights they read. Raises ValueError."""
    first = graph.only("Conv", reading="dec.conv_pre.weight")
    latent = first.inputs[0]
    masked = graph.making(latent)  # latent = flow output * frame mask
    if masked.op != "Mul":
        raise ValueError(f"the vocoder reads a {masked.op}")
    projected = graph.only("Conv", reading="enc_p.proj.weight")
    stats = graph.reading(projected.outputs[0])[0]  # projection * text mask
    split = graph.reading(stats.outputs[0])[0]
    if (stats.op, split.op, len(split.outputs)) != ("Mul", "Split", 2):
        raise ValueError("the text encoder does not end in a mean and a scale")
    rounded = graph.only("Ceil")
    scaled = graph.making(rounded.inputs[0])  # lengths * length_scale
    draws = [node for node in graph.nodes if node.op == "RandomNormalLike"]
    if len(draws) != 2:
        raise ValueError(f"expected two random draws, found {len(draws)}")
    # The first draw feeds the durations, the second the frames: nodes are in topological order.
    times_noise_w = graph.reading(draws[0].outputs[0])[0]
    times_scale = graph.reading(draws[1].outputs[0])[0]
    times_noise = graph.reading(times_scale.outputs[0])[0]
    added = graph.reading(times_noise.outputs[0])[0]
    wired = (scaled.op, times_noise_w.op, times_scale.op, times_noise.op, added.op)
    if wired != ("Mul", "Mul", "Mul", "Mul", "Add"):
        raise ValueError(f"unexpected operations around the random draws: {', '.join(wired)}")
    if graph.inputs != ("input", "input_lengths", "scales"):
        raise ValueError(f"unexpected inputs {', '.join(graph.inputs)}")
    return _Cuts(
        ids="input",
        text_mask=stats.inputs[1],
        duration_noise=times_noise_w.outputs[0],
        mean=split.outputs[0],
        log_scale=split.outputs[1],
        lengths=scaled.inputs[0],
        frame_mask=masked.inputs[1],
        prior=added.outputs[0],
        latent=latent,
        audio="output",
    )


def _unknown(what: str) -> ModelError:
    return ModelError(f"not a Piper voice this version can convert: {what}", code=Code.MODEL_BROKEN)
