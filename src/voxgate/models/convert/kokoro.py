"""Kokoro 82M, cut into three graphs, so that silence costs nothing and any speed is met exactly.

Kokoro is StyleTTS 2 (Li, Han, Mesgarani: arXiv 2306.07691) with an ISTFT vocoder, published as one ONNX graph with int8
weights. Between its stages lies little, and two of them leave us something to do:

    text.onnx      tokens, style -> lengths, prosodic, spoken     once a piece
                   (numpy: lengths are divided by the speed and rounded to frames, both texts are stretched to frames)
    prosody.onnx   prosodic, style -> pitch, energy               whole piece: its LSTM looks both ways
                   (numpy: silent frames in front and behind are dropped, an eighth to a half of all work)
    speech.onnx    spoken, pitch, energy, style -> audio          whole piece: its normalizations look at all of it

Arithmetic, weights and quantization are the published ones, with one exception: every adaptive instance normalization
(eight operations over the whole signal) becomes one InstanceNormalization, which computes the same and reads the signal
twice instead of ten times. The graph that is converted is one known file, so tensors are found by name.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voxgate.errors import Code, ModelError
from voxgate.models.convert.onnx_cut import FLOAT, INT64, Graph, Inlet, Node, cut, decode_node, read
from voxgate.models.convert.protobuf import data, integer, text

VERSION = 1
"""Raised whenever the written graphs change, so that stores convert again."""

SOURCE = "kokoro-v1.0.int8.onnx"
"""The file `convert` reads."""

TEXT, PROSODY, SPEECH = "text.onnx", "prosody.onnx", "speech.onnx"
"""The files `convert` writes."""

HOP = 600
"""Samples a frame: 25 ms at 24 kHz."""

_LENGTHS = "/encoder/predictor/ReduceSum_output_0"
_PROSODIC = "/encoder/predictor/text_encoder/Concat_4_output_0"
_SPOKEN = "/encoder/text_encoder/Transpose_2_output_0"
_PROSODIC_FRAMES = "/encoder/MatMul_output_0"
_SPOKEN_FRAMES = "/encoder/MatMul_1_output_0"
_PITCH, _ENERGY = "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0"

_EPSILON = 1e-5
_FLAT = "voxgate/flat"
"""The constant [-1]: the shape that makes any tensor flat."""


def convert(source: Path, target: Path) -> None:
    """Write the three graphs from the published one in `source` into `target`.

    Deterministic: the same bytes in give the same bytes out. Raises ModelError `model_broken` for another graph.
    """
    try:
        graph = fuse(read((source / SOURCE).read_bytes()))
        style = Inlet("style", FLOAT, (1, 256))
        parts = {
            TEXT: cut(
                graph,
                {"tokens": Inlet("tokens", INT64, (1, None)), "style": style},
                {_LENGTHS: "lengths", _PROSODIC: "prosodic", _SPOKEN: "spoken"},
            ),
            PROSODY: cut(
                graph,
                {_PROSODIC_FRAMES: Inlet("prosodic", FLOAT, (1, 640, None)), "style": style},
                {_PITCH: "pitch", _ENERGY: "energy"},
            ),
            SPEECH: cut(
                graph,
                {
                    _SPOKEN_FRAMES: Inlet("spoken", FLOAT, (1, 512, None)),
                    _PITCH: Inlet("pitch", FLOAT, (1, None)),
                    _ENERGY: Inlet("energy", FLOAT, (1, None)),
                    "style": style,
                },
                {"audio": "audio"},
            ),
        }
    except ValueError as error:
        raise _unknown(str(error)) from error
    target.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        (target / name).write_bytes(content)


def selftest(target: Path) -> None:
    """Say a few symbols with the converted graphs. Raises ModelError if what comes is no speech."""
    import onnxruntime

    def run(name: str, feed: dict[str, Any]) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(target / name, options, providers=["CPUExecutionProvider"])
        return session.run(None, feed)

    style = np.zeros((1, 256), np.float32)  # nobody's voice, and a loud one; real ones are a model of their own
    ids = [50, 83, 54, 156, 31, 4]  # həlˈO.
    try:
        lengths, prosodic, spoken = run(TEXT, {"tokens": np.array([[0, *ids, 0]]), "style": style})
        frames = np.maximum(np.rint(lengths.ravel()), 1).astype(np.int64)
        stretched = np.ascontiguousarray(np.repeat(prosodic, frames, axis=1).transpose(0, 2, 1))
        pitch, energy = run(PROSODY, {"prosodic": stretched, "style": style})
        feed = {"spoken": np.repeat(spoken, frames, axis=2), "pitch": pitch, "energy": energy, "style": style}
        (audio,) = run(SPEECH, feed)
    except Exception as error:
        raise _unknown(f"the converted voice does not run: {error}") from error
    wanted = int(frames.sum()) * HOP
    if audio.size != wanted or not np.isfinite(audio).all() or not 1 < np.abs(audio).max() < 50:  # measured: 7.9
        raise _unknown(f"{wanted} samples of speech were expected, and something else came")


def fuse(graph: Graph) -> Graph:
    """The graph with every adaptive instance normalization as one operation. Pure.

    Looked for: (x - mean) / sqrt(mean of its square + 1e-5), times a factor, plus an offset, means over the frames.
    Where several share the normalized x, each becomes one of its own: that is still less to read and write.
    """
    made = {output: node for node in graph.nodes for output in node.outputs}
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    replaced: dict[str, tuple[Node, ...]] = {}
    for node in graph.nodes:
        if node.op != "Div":
            continue
        signal = _normalized(node, made)
        if not signal:
            continue
        for scaled in readers.get(node.outputs[0], []):
            following = readers.get(scaled.outputs[0], [])
            if scaled.op != "Mul" or len(following) != 1 or following[0].op != "Add":
                raise ValueError(f"{node.outputs[0]} is normalized but not scaled and shifted")
            added = following[0]
            factor = next(name for name in scaled.inputs if name != node.outputs[0])
            offset = next(name for name in added.inputs if name != scaled.outputs[0])
            replaced[added.outputs[0]] = _adain(signal, factor, offset, added.outputs[0])
    nodes = [new for node in graph.nodes for new in replaced.get(node.outputs[0], (node,))]
    flat = integer(1, 1) + integer(2, INT64) + text(8, _FLAT) + data(9, np.array([-1], "<i8").tobytes())
    return replace(graph, nodes=tuple(nodes), constants={**graph.constants, _FLAT: memoryview(flat)})


def _normalized(divided: Node, made: dict[str, Node]) -> str:
    """The x of a node that computes (x - mean(x)) / sqrt(mean((x - mean(x))²) + ε); empty for any other."""
    chain: list[Node] = []
    name = divided.inputs[1]
    for op in ("Sqrt", "Add", "ReduceMean", "Mul"):
        node = made.get(name)
        if node is None or node.op != op:
            return ""
        chain.append(node)
        name = node.inputs[0]
    centred = made.get(divided.inputs[0])
    if centred is None or centred.op != "Sub" or chain[-1].inputs != (divided.inputs[0],) * 2:
        return ""
    mean = made.get(centred.inputs[1])
    same = mean is not None and mean.op == "ReduceMean" and mean.inputs[0] == centred.inputs[0]
    return centred.inputs[0] if same else ""


def _adain(signal: str, factor: str, offset: str, output: str) -> tuple[Node, ...]:
    """InstanceNormalization wants its factor and offset flat, [channels]; here they come as [1, channels, 1]."""
    flat = (f"{output}/factor", f"{output}/offset")
    return (
        _node("Reshape", (factor, _FLAT), flat[0]),
        _node("Reshape", (offset, _FLAT), flat[1]),
        _node("InstanceNormalization", (signal, *flat), output, epsilon=_EPSILON),
    )


def _node(op: str, inputs: tuple[str, ...], output: str, *, epsilon: float | None = None) -> Node:
    body = b"".join(text(1, name) for name in inputs) + text(2, output) + text(4, op)
    if epsilon is not None:
        number = b"\x15" + np.float32(epsilon).astype("<f4").tobytes()  # field 2 of AttributeProto, four bytes
        body += data(5, text(1, "epsilon") + number + integer(20, 1))
    return decode_node(memoryview(body))


def _unknown(what: str) -> ModelError:
    return ModelError(f"not the Kokoro graph this version can convert: {what}", code=Code.MODEL_BROKEN)
