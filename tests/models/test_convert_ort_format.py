import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.moonshine_data import sources
from voxgate.models.convert import ort_format
from voxgate.models.convert.ort_format import Graph


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 4, b"\x08\x00\x00\x00ORTX" + bytes(40), b"\x08\x00\x00\x00ORTM", b"x" * 400]
)
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.ort"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model|mmap|empty"):
        ort_format.read(path)


def test_a_model_without_a_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.ort"
    vtable, table = struct.pack("<HH", 4, 4), struct.pack("<i", 4)
    path.write_bytes(struct.pack("<I", 12) + b"ORTM" + vtable + table)
    with pytest.raises(ValueError, match="no graph"):
        ort_format.read(path)


def _plain(graph: Any, generated: Any) -> Graph:
    """A graph as onnxruntime's own generated reader sees it."""

    def tensor(value: Any) -> Any:
        raw = value.RawDataAsNumpy() if value.RawDataLength() else np.zeros(0, np.uint8)
        return raw.view(ort_format.DTYPES[value.DataType()]).reshape([value.Dims(i) for i in range(value.DimsLength())])

    def attribute(value: Any) -> Any:
        readers = {
            1: value.F,
            2: value.I,
            3: value.S,
            4: lambda: tensor(value.T()),
            5: lambda: _plain(value.G(), generated),
            6: lambda: tuple(value.Floats(i) for i in range(value.FloatsLength())),
            7: lambda: tuple(value.Ints(i) for i in range(value.IntsLength())),
        }
        return readers[value.Type()]()

    nodes = sorted((graph.Nodes(i) for i in range(graph.NodesLength())), key=lambda node: int(node.Index()))
    return Graph(
        tuple(
            ort_format.Node(
                node.OpType().decode(),
                tuple(node.Inputs(i).decode() for i in range(node.InputsLength())),
                tuple(node.Outputs(i).decode() for i in range(node.OutputsLength())),
                {a.Name().decode(): attribute(a) for a in map(node.Attributes, range(node.AttributesLength()))},
                (node.Name() or b"").decode(),
                (node.Domain() or b"").decode(),
            )
            for node in nodes
        ),
        {t.Name().decode(): tensor(t) for t in map(graph.Initializers, range(graph.InitializersLength()))},
        tuple(graph.Inputs(i).decode() for i in range(graph.InputsLength())),
        tuple(graph.Outputs(i).decode() for i in range(graph.OutputsLength())),
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Graph):
        return (
            (one.inputs, one.outputs, len(one.nodes)) == (other.inputs, other.outputs, len(other.nodes))
            and one.constants.keys() == other.constants.keys()
            and all(_same(array, other.constants[name]) for name, array in one.constants.items())
            and all(
                (a.op, a.inputs, a.outputs, a.name, a.domain) == (b.op, b.inputs, b.outputs, b.name, b.domain)
                and a.attributes.keys() == b.attributes.keys()
                and all(_same(value, b.attributes[name]) for name, value in a.attributes.items())
                for a, b in zip(one.nodes, other.nodes, strict=True)
            )
        )
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder_model.ort", "decoder_model_merged.ort"])
def test_every_field_is_what_onnxruntimes_own_reader_sees(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.syspath_prepend(str(Path(onnxruntime.__file__).parent / "tools" / "ort_format_model"))
    from ort_flatbuffers_py.fbs.InferenceSession import InferenceSession  # type: ignore[import-not-found]

    path = sources() / name
    ours, opsets = ort_format.read(path)
    theirs = InferenceSession.GetRootAs(path.read_bytes(), 0).Model()
    assert _same(ours, _plain(theirs.Graph(), sys))
    assert opsets == {
        (theirs.OpsetImport(i).Domain() or b"").decode(): theirs.OpsetImport(i).Version()
        for i in range(theirs.OpsetImportLength())
    }
