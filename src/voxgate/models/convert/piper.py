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
of intermediate tensors differ from voice to voice. ONNX field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxgate.errors import Code, ModelError
from voxgate.models.convert.protobuf import BYTES, data, fields, integer, text

VERSION = 1
"""Raised whenever the written graphs change, so that stores convert again."""

ENCODER, FLOW, VOCODER, VOICE = "encoder.onnx", "flow.onnx", "vocoder.onnx", "voice.json"
"""The files `convert` writes."""

FLOW_REACH = 32
"""Frames either side that one frame of the flow depends on: 4 couplings x 4 convolutions of 5 taps, 2 each side."""

VOCODER_REACH = 10
"""Frames either side after which HiFi-GAN's answer no longer changes: 1e-6 at 10, 6e-4 at 8 (measured 2026-10, joe)."""

_FLOAT, _INT64 = 1, 7  # onnx.TensorProto.DataType


@dataclass(frozen=True, slots=True)
class _Node:
    """One operation of the graph, still encoded, with what wiring needs decoded."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    encoded: memoryview


@dataclass(frozen=True, slots=True)
class _Graph:
    """What is read of a model file: nodes in topological order, constants by name, and the parts copied as they are."""

    nodes: tuple[_Node, ...]
    constants: Mapping[str, memoryview]
    inputs: tuple[str, ...]
    versions: bytes
    """ir_version and opset_import, encoded."""

    def making(self, tensor: str) -> _Node:
        """The node whose output `tensor` is. Raises ModelError."""
        for node in self.nodes:
            if tensor in node.outputs:
                return node
        raise _unknown(f"nothing makes {tensor!r}")

    def reading(self, tensor: str) -> tuple[_Node, ...]:
        """The nodes that have `tensor` among their inputs."""
        return tuple(node for node in self.nodes if tensor in node.inputs)

    def only(self, op: str, *, reading: str = "") -> _Node:
        """The one node of this kind (that reads this tensor). Raises ModelError where there is none, or a second."""
        found = [node for node in self.nodes if node.op == op and (not reading or reading in node.inputs)]
        if len(found) != 1:
            raise _unknown(f"expected one {op} reading {reading or 'anything'}, found {len(found)}")
        return found[0]


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
        graph = _read(found[0].read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise _unknown(f"{described.stem}: {error}") from error
    if speakers > 1:
        raise _unknown(f"{speakers} speakers; only voices of one speaker are converted")
    cuts = _find(graph)
    target.mkdir(parents=True, exist_ok=True)
    one = {cuts.text_mask: "one", cuts.frame_mask: "one"}
    parts = {
        ENCODER: _cut(
            graph,
            {cuts.ids: ("ids", _INT64, (1, None)), cuts.duration_noise: ("duration_noise", _FLOAT, (1, 2, None))},
            {cuts.mean: "mean", cuts.log_scale: "log_scale", cuts.lengths: "lengths"},
            one,
        ),
        FLOW: _cut(graph, {cuts.prior: ("prior", _FLOAT, (1, None, None))}, {cuts.latent: "latent"}, one),
        VOCODER: _cut(graph, {cuts.latent: ("latent", _FLOAT, (1, None, None))}, {cuts.audio: "audio"}, one),
    }
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


def _find(graph: _Graph) -> _Cuts:
    """Where to cut, by what the operations are and which weights they read."""
    first = graph.only("Conv", reading="dec.conv_pre.weight")
    latent = first.inputs[0]
    masked = graph.making(latent)  # latent = flow output * frame mask
    if masked.op != "Mul":
        raise _unknown(f"the vocoder reads a {masked.op}")
    projected = graph.only("Conv", reading="enc_p.proj.weight")
    stats = graph.reading(projected.outputs[0])[0]  # projection * text mask
    split = graph.reading(stats.outputs[0])[0]
    if (stats.op, split.op, len(split.outputs)) != ("Mul", "Split", 2):
        raise _unknown("the text encoder does not end in a mean and a scale")
    rounded = graph.only("Ceil")
    scaled = graph.making(rounded.inputs[0])  # lengths * length_scale
    draws = [node for node in graph.nodes if node.op == "RandomNormalLike"]
    if len(draws) != 2:
        raise _unknown(f"expected two random draws, found {len(draws)}")
    # The first draw feeds the durations, the second the frames: nodes are in topological order.
    times_noise_w = graph.reading(draws[0].outputs[0])[0]
    times_scale = graph.reading(draws[1].outputs[0])[0]
    times_noise = graph.reading(times_scale.outputs[0])[0]
    added = graph.reading(times_noise.outputs[0])[0]
    wired = (scaled.op, times_noise_w.op, times_scale.op, times_noise.op, added.op)
    if wired != ("Mul", "Mul", "Mul", "Mul", "Add"):
        raise _unknown(f"unexpected operations around the random draws: {', '.join(wired)}")
    if graph.inputs != ("input", "input_lengths", "scales"):
        raise _unknown(f"unexpected inputs {', '.join(graph.inputs)}")
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


def _cut(
    graph: _Graph,
    inputs: Mapping[str, tuple[str, int, tuple[int | None, ...]]],
    outputs: Mapping[str, str],
    ones: Mapping[str, str],
) -> bytes:
    """A model file of what lies between `inputs` and `outputs`, encoded.

    `inputs`: old name -> new name, element type, shape with None where free. `outputs`: old name -> new name.
    `ones`: tensors that become a constant 1 of shape [1, 1, 1] under the given name.
    """
    names = {old: new for old, (new, _, _) in inputs.items()} | dict(outputs) | dict(ones)
    needed = set(outputs)
    kept: list[_Node] = []
    for node in reversed(graph.nodes):
        made = needed.intersection(node.outputs)
        if made and not made <= inputs.keys() | ones.keys():
            kept.append(node)
            needed.update(node.inputs)
    loose = needed & set(graph.inputs) - inputs.keys()
    if loose:
        raise _unknown(f"{', '.join(sorted(loose))} is read behind the cut")
    body = bytearray()
    for node in reversed(kept):
        body += data(1, _rename(node.encoded, names))
    body += text(2, "voxgate")
    for name, tensor in graph.constants.items():
        if name in needed:
            body += data(5, bytes(tensor))
    for new in sorted({ones[name] for name in needed & ones.keys()}):
        dims = integer(1, 1) * 3
        body += data(5, dims + integer(2, _FLOAT) + text(8, new) + data(9, np.ones(1, "<f4").tobytes()))
    for new, kind, shape in inputs.values():
        body += data(11, _value(new, kind, shape))
    for new in outputs.values():
        body += data(12, _value(new, _FLOAT, None))
    return graph.versions + text(2, "voxgate") + data(7, bytes(body))


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


def _read(content: bytes) -> _Graph:
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
    nodes: list[_Node] = []
    constants: dict[str, memoryview] = {}
    inputs: list[str] = []
    for number, _, value, _ in fields(body):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            nodes.append(_node(value))
        elif number == 5:
            constants[_string(value, 8)] = value
        elif number == 11:
            inputs.append(_string(value, 1))
    return _Graph(tuple(nodes), constants, tuple(inputs), bytes(versions))


def _node(encoded: memoryview) -> _Node:
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
    return _Node(op, tuple(inputs), tuple(outputs), encoded)


def _string(message: memoryview, field: int) -> str:
    """The string in a message's `field`, empty if it is not there."""
    for number, _, value, _ in fields(message):
        if number == field and isinstance(value, memoryview):
            return str(value, "utf-8")
    return ""


def _unknown(what: str) -> ModelError:
    return ModelError(f"not a Piper voice this version can convert: {what}", code=Code.MODEL_BROKEN)
