"""Moonshine base, rebuilt: from the two `.ort` files its makers ship to two ONNX graphs that are ten times faster.

As shipped, every weight is turned from int8 into float32 again at every decoder step (60 ms a step). Every weight is
`scale * (q - zero)` with an integer `zero`, so the very same integers can be handed to onnxruntime's
`DynamicQuantizeMatMul` (5 ms a step); nothing is requantized. Unsigned weights, because signed ones saturate in AVX2's
`vpmaddubsw` (docs/decisions/0002-moonshine-rebuilt.md has the measurements).

    enc.onnx   input_values [1, n] -> cross.{i}.key [1, 8, 52, s], cross.{i}.value [1, 8, s, 52]      i = 0 … 7
    dec.onnx   input_ids [b, t], past.{i}.key/value [b, 8, p, 52], cross.* as above
               -> logits [b, t, 32768], present.{i}.key/value [b, 8, p + t, 52], attention [b, 2, t, s]

What is changed besides the weights:
- The encoder also projects its output to the decoder's cross-attention keys and values, and transposes and scales the
  keys: the shipped decoder does the latter again at every step.
- Of the decoder's two branches only the one with a past is kept; it is causal for t > 1 and right for a past of
  length 0, so one graph serves the first step, forced prefixes and every further step.
- `attention` is the cross-attention of the two heads that follow the audio best (see ALIGNMENT_HEADS).
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxgate.errors import Code, ModelError
from voxgate.models.convert import onnx_file, ort_format
from voxgate.models.convert.onnx_file import Constant, Value
from voxgate.models.convert.ort_format import Array, Graph, Node

SOURCES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
"""The files `convert` reads."""
PRODUCTS = ("enc.onnx", "dec.onnx", "tokenizer.bin")
"""The files `convert` writes."""

ALIGNMENT_HEADS = ((4, 6), (1, 0))
"""(layer, head) whose cross-attention gives word times: chosen by the research before the project, against
PocketSphinx's alignment and spliced flite words. What they reach stands in engines/moonshine_alignment.py."""

_LAYERS, _HEADS, _HEAD_SIZE, _VOCABULARY = 8, 8, 52, 32_768
_FLOAT, _INT64 = np.dtype(np.float32), np.dtype(np.int64)
_MICROSOFT = "com.microsoft"
_ZERO_TOLERANCE = 0.01
"""How far a zero point recovered in float32 may lie from an integer; the shipped ones are all within 0.01."""


def convert(source: Path, target: Path) -> None:
    """Write `enc.onnx`, `dec.onnx` and `tokenizer.bin` into the folder `target` from the files SOURCES in `source`.

    Only integers are moved, so the result is the same, byte for byte, on every machine and version of numpy.
    Raises ModelError `model_broken` where the sources are not the Moonshine base this was written for, OSError.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        encoder, opsets = ort_format.read(source / SOURCES[0])
        decoder, _ = ort_format.read(source / SOURCES[1])
        _write_encoder(target / PRODUCTS[0], encoder, decoder, opsets)
        _write_decoder(target / PRODUCTS[1], decoder, opsets)
    except (ValueError, KeyError) as broken:
        raise ModelError(f"Moonshine cannot be converted: {broken}", code=Code.MODEL_BROKEN) from broken
    shutil.copyfile(source / SOURCES[2], target / PRODUCTS[2])


def _layers(*kinds: str) -> Iterable[tuple[int, str]]:
    return ((layer, kind) for layer in range(_LAYERS) for kind in kinds)


def _cross(layer: int, kind: str) -> Value:
    tail: tuple[int | str, ...] = (_HEAD_SIZE, "s") if kind == "key" else ("s", _HEAD_SIZE)
    return Value(f"cross.{layer}.{kind}", _FLOAT, (1, _HEADS, *tail))


def _write_encoder(path: Path, encoder: Graph, decoder: Graph, opsets: Mapping[str, int]) -> None:
    first_step = _branch(decoder, "else_branch")
    produced = {node.name: node for node in first_step.nodes}
    # the decoder's sqrt(1 / sqrt(size)), operation by operation in float32, so that products round the same way
    scale = np.sqrt(np.float32(1) / np.sqrt(np.float32(_HEAD_SIZE)))
    constants: dict[str, Array] = {
        **encoder.constants,
        **{f"decoder/{name}": array for name, array in first_step.constants.items()},
        "cross/shape": np.array([1, -1, _HEADS, _HEAD_SIZE], np.int64),
        "cross/scale": np.asarray(scale),
    }
    nodes = [*encoder.nodes, *(_prefixed(node, "decoder/") for node in first_step.nodes if node.op in _CHAIN)]
    for layer, kind in _layers("key", "value"):
        projection = produced[f"/model/decoder/layers.{layer}/encoder_attn/{kind[0]}_proj/MatMul"]
        if projection.inputs[0] != "encoder_hidden_states":
            raise ValueError(f"the {kind} projection of layer {layer} does not read the encoder")
        name = f"cross.{layer}.{kind}"
        split, turned = f"{name}/split", f"{name}/turned" if kind == "key" else name
        nodes += [
            Node("MatMul", ("last_hidden_state", f"decoder/{projection.inputs[1]}"), (f"{name}/projected",), {}),
            Node("Reshape", (f"{name}/projected", "cross/shape"), (split,), {}),
            Node("Transpose", (split,), (turned,), {"perm": (0, 2, 3, 1) if kind == "key" else (0, 2, 1, 3)}),
        ]
        if kind == "key":
            nodes.append(Node("Mul", (turned, "cross/scale"), (name,), {}))
    outputs = [_cross(layer, kind) for layer, kind in _layers("key", "value")]
    _write(path, nodes, constants, [Value("input_values", _FLOAT, (1, "n"))], outputs, opsets)


def _write_decoder(path: Path, decoder: Graph, opsets: Mapping[str, int]) -> None:
    branch = _branch(decoder, "then_branch")
    names: dict[str, str] = {}
    for layer, kind in _layers("key", "value"):
        names[f"past_key_values.{layer}.decoder.{kind}"] = f"past.{layer}.{kind}"
        names[f"present.{layer}.decoder.{kind}"] = f"present.{layer}.{kind}"
    for layer in range(_LAYERS):
        attention = f"/model/decoder/layers.{layer}/encoder_attn"
        names[f"past_key_values.{layer}.encoder.value"] = f"cross.{layer}.value"
        names[_scaled_key(branch, layer, attention)] = f"cross.{layer}.key"
    cut = {f"cross.{layer}.key" for layer in range(_LAYERS)}
    nodes = [node for node in _renamed(branch.nodes, names) if not cut.intersection(node.outputs)]
    constants = dict(branch.constants)
    rows = []
    for layer, head in ALIGNMENT_HEADS:
        constants[index := f"attention/{layer}/index"] = np.array([head], np.int64)
        rows.append(row := f"attention/{layer}/row")
        softmax = f"/model/decoder/layers.{layer}/encoder_attn/Softmax_output_0"
        nodes.append(Node("Gather", (softmax, index), (row,), {"axis": 1}))
    nodes.append(Node("Concat", tuple(rows), ("attention",), {"axis": 1}))
    shape = ("b", _HEADS, "p", _HEAD_SIZE)
    inputs = [Value("input_ids", _INT64, ("b", "t"))]
    inputs += [Value(f"past.{layer}.{kind}", _FLOAT, shape) for layer, kind in _layers("key", "value")]
    inputs += [_cross(layer, kind) for layer, kind in _layers("key", "value")]
    outputs = [Value("logits", _FLOAT, ("b", "t", _VOCABULARY))]
    outputs += [
        Value(f"present.{layer}.{kind}", _FLOAT, ("b", _HEADS, "q", _HEAD_SIZE))
        for layer, kind in _layers("key", "value")
    ]
    outputs.append(Value("attention", _FLOAT, ("b", len(ALIGNMENT_HEADS), "t", "s")))
    _write(path, nodes, constants, inputs, outputs, opsets)


def _scaled_key(branch: Graph, layer: int, attention: str) -> str:
    """The value of the decoder that is nothing but the layer's cross-attention key, transposed and scaled."""
    by_output = {output: node for node in branch.nodes for output in node.outputs}
    scaled = by_output[f"{attention}/Mul_1_output_0"]
    turned = by_output[scaled.inputs[0]]
    key = f"past_key_values.{layer}.encoder.key"
    if scaled.op != "Mul" or turned.inputs != (key,) or turned.attributes.get("perm") != (0, 1, 3, 2):
        raise ValueError(f"the cross-attention of decoder layer {layer} is not laid out as expected")
    return scaled.outputs[0]


def _branch(graph: Graph, name: str) -> Graph:
    """One branch of the merged decoder's `If`, made a graph of its own: outer nodes and constants taken in."""
    choice = next((node for node in graph.nodes if node.op == "If"), None)
    if choice is None or not isinstance(choice.attributes.get(name), Graph):
        raise ValueError("the decoder has no branches")
    branch: Graph = choice.attributes[name]
    outer = tuple(node for node in graph.nodes if node is not choice)
    inner = tuple(_renamed(branch.nodes, dict(zip(branch.outputs, choice.outputs, strict=True))))
    return Graph((*outer, *inner), {**graph.constants, **branch.constants}, graph.inputs, choice.outputs)


def _renamed(nodes: Iterable[Node], names: Mapping[str, str]) -> list[Node]:
    return [
        replace(
            node,
            inputs=tuple(names.get(name, name) for name in node.inputs),
            outputs=tuple(names.get(name, name) for name in node.outputs),
        )
        for node in nodes
    ]


def _prefixed(node: Node, prefix: str) -> Node:
    return replace(
        node,
        inputs=tuple(prefix + name for name in node.inputs),
        outputs=tuple(prefix + name for name in node.outputs),
    )


_CHAIN = ("Cast", "Mul", "Add", "Transpose")
"""The operators that turn a stored int8 weight into float32: cast, scale, shift, and for the output layer transpose."""


@dataclass(frozen=True, slots=True)
class _Quantized:
    """A float weight of the source, as the integers it is computed from: `scale * (q - zero)`."""

    q: Array
    """int8, as stored."""
    scale: float = 1.0
    """Exactly a float32."""
    zero: int = 0
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.q.shape[::-1] if self.transposed else self.q.shape

    def unsigned(self) -> Array:
        """The weight plus 128 as uint8, [in, out]: flipping the top bit of two's complement adds 128."""
        shifted = self.q.view(np.uint8) ^ np.uint8(0x80)
        return shifted.T if self.transposed else shifted


def _quantized(nodes: Iterable[Node], constants: Mapping[str, Array]) -> dict[str, _Quantized]:
    """The weights that are computed from int8 constants, by the name of the float result.

    Nodes come in the order of the file, in which every chain is in order.
    """
    cast: dict[str, _Quantized] = {}
    scaled: dict[str, _Quantized] = {}
    found: dict[str, _Quantized] = {}
    for node in nodes:
        if node.op not in _CHAIN or not node.inputs:
            continue
        first, second = node.inputs[0], constants.get(node.inputs[-1])
        if node.op == "Cast" and first in constants and constants[first].dtype == np.int8:
            cast[node.outputs[0]] = _Quantized(constants[first])
        elif node.op == "Mul" and first in cast and second is not None and second.size == 1:
            scaled[node.outputs[0]] = replace(cast[first], scale=float(second.reshape(-1)[0]))
        elif node.op == "Add" and first in scaled and second is not None and second.size == 1:
            zero = -float(second.reshape(-1)[0]) / scaled[first].scale
            if abs(zero - round(zero)) >= _ZERO_TOLERANCE or not -128 <= round(zero) <= 127:
                raise ValueError(f"{node.outputs[0]} has the zero point {zero}, which is no int8")
            found[node.outputs[0]] = replace(scaled[first], zero=round(zero))
        elif node.op == "Transpose" and first in found and node.attributes.get("perm", (1, 0)) == (1, 0):
            found[node.outputs[0]] = replace(found[first], transposed=not found[first].transposed)
    return found


def _exact_integers(nodes: Iterable[Node], constants: Mapping[str, Array]) -> tuple[list[Node], dict[str, Constant]]:
    """The graph with every product by a dequantized matrix, and every look-up in one, done on its integers."""
    nodes = list(nodes)
    weights = _quantized(nodes, constants)
    made = {name: Constant.of(array) for name, array in constants.items()}
    rewritten: list[Node] = []
    for node in nodes:
        name = node.inputs[1] if node.op == "MatMul" else node.inputs[0] if node.op == "Gather" else ""
        weight = weights.get(name)
        if weight is None:
            rewritten.append(node)
        elif node.op == "MatMul":
            made[f"{name}/u8"] = Constant(np.dtype(np.uint8), weight.shape, weight.unsigned)
            made[f"{name}/u8/scale"] = Constant.of(np.float32(weight.scale))
            made[f"{name}/u8/zero"] = Constant.of(np.uint8(weight.zero + 128))
            inputs = (node.inputs[0], f"{name}/u8", f"{name}/u8/scale", f"{name}/u8/zero")
            rewritten.append(replace(node, op="DynamicQuantizeMatMul", domain=_MICROSOFT, inputs=inputs))
        else:
            rewritten += _embedding(node, name, weight, made)
    return rewritten, made


def _embedding(node: Node, name: str, weight: _Quantized, made: dict[str, Constant]) -> list[Node]:
    """Look up the int8 rows and dequantize those: `(q - zero) * scale`."""
    made[f"{name}/q"] = Constant.of(weight.q)
    made[f"{name}/q/scale"] = Constant.of(np.float32(weight.scale))
    made[f"{name}/q/zero"] = Constant.of(np.float32(weight.zero))
    out = node.outputs[0]
    return [
        replace(node, inputs=(f"{name}/q", node.inputs[1]), outputs=(f"{out}/q",)),
        Node("Cast", (f"{out}/q",), (f"{out}/float",), {"to": 1}),
        Node("Sub", (f"{out}/float", f"{name}/q/zero"), (f"{out}/shifted",), {}),
        Node("Mul", (f"{out}/shifted", f"{name}/q/scale"), (out,), {}),
    ]


def _write(
    path: Path,
    nodes: Iterable[Node],
    constants: Mapping[str, Array],
    inputs: list[Value],
    outputs: list[Value],
    opsets: Mapping[str, int],
) -> None:
    rewritten, made = _exact_integers(nodes, constants)
    given = {value.name for value in inputs}
    ordered = _needed(rewritten, [value.name for value in outputs], given | made.keys())
    used = {name for node in ordered for name in node.inputs}
    kept = {name: constant for name, constant in made.items() if name in used}
    domains = {"": opsets[""], _MICROSOFT: 1}
    onnx_file.write(path, ordered, kept, inputs, outputs, domains, producer="voxgate")


def _needed(nodes: Iterable[Node], outputs: Iterable[str], given: set[str]) -> list[Node]:
    """The nodes that `outputs` depend on, each after those it depends on; ValueError where a value comes from nowhere.

    Depth first without recursion: the chain through eight layers is longer than Python's stack is deep.
    """
    producer = {output: node for node in nodes for output in node.outputs if output}
    ordered: list[Node] = []
    done: set[str] = set()
    stack: list[tuple[str, bool]] = [(output, False) for output in reversed(list(outputs))]
    while stack:
        name, ready = stack.pop()
        if not name or name in given or name in done:
            continue
        if name not in producer:
            raise ValueError(f"nothing makes {name}")
        node = producer[name]
        if ready:
            ordered.append(node)
            done.update(node.outputs)
        else:
            stack.append((name, True))
            stack.extend((source, False) for source in reversed(node.inputs))
    return ordered


def selftest(target: Path) -> None:
    """Run the converted graphs in the folder `target` on a made-up sound.

    Two sung vowels are heard as nothing (end of text first), and, where that is forbidden, as "Ah."; and after "Thank"
    and "Thank you very" the model expects "you" and "much", whatever it hears: each by a margin of 2 nats or more, so
    that another processor's rounding cannot change it. Together they run every weight: encoder, single steps with a
    past, and several tokens at once. Raises ModelError `model_broken`.
    """
    import onnxruntime

    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        encoder, decoder = (
            onnxruntime.InferenceSession(target / name, options, providers=["CPUExecutionProvider"])
            for name in PRODUCTS[:2]
        )
        names = [output.name for output in encoder.get_outputs()]
        cross = dict(zip(names, encoder.run(names, {"input_values": _sung_vowels()[None]}), strict=True))
        produced = [output.name for output in decoder.get_outputs()]
        past = {
            f"past.{layer}.{kind}": np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
            for layer, kind in _layers("key", "value")
        }
        thanks = decoder.run(["logits"], {"input_ids": np.array([[_START, *_THANK_YOU_VERY]]), **past, **cross})[0][0]
        heard = []
        for token in (_START, *_AH):
            out = dict(
                zip(produced, decoder.run(produced, {"input_ids": np.array([[token]]), **past, **cross}), strict=True)
            )
            past = {name: out[name.replace("past", "present")] for name in past}
            heard.append(out["logits"][0, -1])
    except Exception as failed:  # onnxruntime raises a dozen types of its own, all meaning that the graph does not run
        raise ModelError(f"the converted Moonshine does not run: {failed}", code=Code.MODEL_BROKEN) from failed
    first = int(heard[0].argmax())
    heard[0][_END] = -np.inf
    answers = (first, [int(row.argmax()) for row in heard], [int(thanks[k].argmax()) for k in (1, 3)])
    if answers != (_END, [*_AH, _END], list(_YOU_MUCH)):
        raise ModelError(f"the converted Moonshine answers {answers}", code=Code.MODEL_BROKEN)


_START, _END = 1, 2
_AH = (9070, 29889)
_THANK_YOU_VERY = (3374, 366, 1407)
_YOU_MUCH = (366, 1568)


def _sung_vowels() -> Array:
    """ "ah" at 120 Hz and "ee" at 110 Hz between silences, 1.125 s: harmonics under three formants (Peterson, 1952)."""
    t = np.arange(5000) / 16_000

    def vowel(pitch: float, formants: tuple[float, float, float]) -> Array:
        sound = np.zeros_like(t)
        for harmonic in range(1, 30):
            frequency = pitch * harmonic
            level = sum(1 / (1 + ((frequency - formant) / 80) ** 2) for formant in formants)
            sound += level * np.sin(2 * np.pi * frequency * t)
        return np.asarray(0.3 * sound / np.abs(sound).max())

    quiet = np.zeros(4000)
    sung = (quiet, vowel(120, (730, 1090, 2440)), vowel(110, (270, 2290, 3010)), quiet)
    return np.concatenate(sung).astype(np.float32)
