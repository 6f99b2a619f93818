"""The catalogue: what ships is consistent, and what is inconsistent is refused with its name."""

import importlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from voxgate.errors import Code, ModelError
from voxgate.models import catalog
from voxgate.models.catalog import Carrier, Catalog, HubSource, IndexSource, PlainName


def test_default_bundle_is_the_one_of_the_contract() -> None:
    names = [model.name for model in catalog.load().expand(["default"])]
    assert names == [
        "moonshine-base-en",
        "whisper-base",
        "piper-en_US-joe-medium",
        "smollm2-135m-instruct-q4_1",
        "smart-turn-v3.2-cpu",
    ]


def test_default_bundle_takes_about_350_mb_from_the_index() -> None:
    sizes = []
    for model in catalog.load().expand(["default"]):
        first = model.sources[0]
        assert isinstance(first, IndexSource)
        sizes += [carrier.bytes for carrier in first.carriers]
    assert 340e6 < sum(sizes) < 360e6


def test_joe_is_marked_unclear_for_commercial_use_and_the_clean_voice_is_not() -> None:
    joe, ljspeech = catalog.load().expand(["piper-en_US-joe-medium", "piper-en_US-ljspeech-high"])
    assert not joe.commercial
    assert "lessac" in joe.caveat
    assert ljspeech.commercial


def test_the_54_voices_of_kokoro_are_there_and_of_one_size() -> None:
    voices = catalog.load().model("kokoro-voices").files
    assert len(voices) == 54
    assert {voice.bytes for voice in voices} == {510 * 1 * 256 * 4}


def test_every_digest_is_named_once() -> None:
    digests = [file.sha256 for model in catalog.load().models.values() for file in model.files]
    assert len(digests) == len(set(digests))


def test_every_converter_exists_with_the_version_the_catalogue_names() -> None:
    for model in catalog.load().models.values():
        if model.convert:
            converter = importlib.import_module(f"voxgate.models.convert.{model.convert.name}")
            assert callable(converter.convert)
            assert callable(converter.selftest)
            assert getattr(converter, "VERSION", 1) == model.convert.version


def test_hub_addresses_name_one_revision() -> None:
    for model in catalog.load().models.values():
        for source in model.sources:
            if isinstance(source, HubSource):
                url = source.url("https://hub.example/", source.path)
                assert re.fullmatch(r"https://hub\.example/[\w.-]+/[\w.-]+/resolve/[0-9a-f]{40}/.*\{file\}", url)


def test_expand_keeps_the_order_and_names_nothing_twice() -> None:
    names = [model.name for model in catalog.load().expand(["smart-turn-v3.2-cpu", "default", "whisper-base"])]
    assert names[:2] == ["smart-turn-v3.2-cpu", "moonshine-base-en"]
    assert len(names) == 5


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'whisper-base'") as caught:
        catalog.load().expand(["wisper-base"])
    assert caught.value.code is Code.MODEL_MISSING


def test_values_cannot_be_changed() -> None:
    model = catalog.load().model("whisper-base")
    with pytest.raises(ValidationError, match="frozen"):
        model.licence = "none"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"files": []}, "at least 1"),
        ({"sources": []}, "at least 1"),
        ({"task": "cook"}, "task"),
        ({"languages": ["english"]}, "registry"),
        ({"languages": ["xx"]}, "xx"),
        ({"commercial": False}, "not why"),
        ({"colour": "red"}, "colour"),
        ({"files": [{"name": "a/b", "bytes": 1, "sha256": "0" * 64}]}, "name"),
        ({"files": [{"name": "a", "bytes": 0, "sha256": "0" * 64}]}, "bytes"),
        ({"files": [{"name": "a", "bytes": 1, "sha256": "0" * 63}]}, "sha256"),
        ({"files": [{"name": "a", "bytes": 1, "sha256": "0" * 64}] * 2}, "same file name"),
        ({"files": [{"name": "manifest.json", "bytes": 1, "sha256": "0" * 64}]}, "same file name"),
        ({"convert": {"name": "os.system", "version": 1, "files": [{"name": "x"}]}}, "name"),
        ({"convert": {"name": "piper", "version": 1, "files": [{"name": "x"}, {"name": "x"}]}}, "same file name"),
        ({"sources": [{"kind": "hub", "repository": "a/b", "revision": "main"}]}, "revision"),
        ({"sources": [{"kind": "url", "url": "http://example.org/{file}"}]}, "url"),
        ({"sources": [{"kind": "carrier pigeon"}]}, "carrier pigeon"),
        ({"sources": [{"kind": "index", "carriers": [{"package": "a>=1", "bytes": 1, "path": "{file}"}]}]}, "exact"),
        ({"sources": [{"kind": "npm", "carriers": [{"package": "a@latest", "bytes": 1, "path": "{file}"}]}]}, "exact"),
        ({"sources": [{"kind": "index", "carriers": [{"package": "a==1", "bytes": 1}]}]}, "either"),
        ({"sources": [{"kind": "index", "carriers": [{"package": "a==1", "bytes": 1, "path": "x"}]}]}, "needs"),
        (
            {
                "sources": [
                    {
                        "kind": "index",
                        "carriers": [{"package": "a==1", "bytes": 1, "parts": [{"file": "other", "path": "x"}]}],
                    }
                ]
            },
            "exactly its files",
        ),
    ],
)
def test_an_inconsistent_entry_is_refused(
    change: dict[str, Any],
    complaint: str,
    make_model: Callable[..., dict[str, Any]],
    make_catalog: Callable[..., Catalog],
) -> None:
    make_catalog(sound=make_model({"weights.bin": b"w"}))
    with pytest.raises(ValueError, match=complaint):
        make_catalog(broken=make_model({"weights.bin": b"w"}) | change)


def test_a_bundle_of_unknown_models_is_refused(make_catalog: Callable[..., Catalog]) -> None:
    with pytest.raises(ValueError, match="nothing is no model"):
        make_catalog(bundles={"all": ["nothing"]})


def test_a_bundle_cannot_hide_a_model(
    make_model: Callable[..., dict[str, Any]], make_catalog: Callable[..., Catalog]
) -> None:
    with pytest.raises(ValueError, match="a bundle and a model"):
        make_catalog(bundles={"one": ["one"]}, one=make_model({"w": b"w"}))


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format"):
        catalog.parse("format = 2\n[bundles]\n[models]\n")


@given(st.text(max_size=20))
def test_a_plain_name_never_leaves_its_folder(name: str) -> None:
    try:
        TypeAdapter(PlainName).validate_python(name)
    except ValidationError:
        return
    assert name not in (".", "..")
    assert not set(name) & set("/\\\0\n")


def test_a_path_template_gives_one_member_a_file(make_model: Callable[..., dict[str, Any]]) -> None:
    model = catalog.Model.model_validate({"name": "m", **make_model({"a": b"1", "b": b"2"})})
    carrier = Carrier(package="x==1", bytes=1, path="in/{file}.gz")
    assert [(part.file, part.path) for part in carrier.members(model.files)] == [("a", "in/a.gz"), ("b", "in/b.gz")]


def test_a_pull_needs_room_for_the_carriers_the_files_and_the_conversion(
    make_model: Callable[..., dict[str, Any]],
) -> None:
    carriers = [
        {"package": "x==1", "bytes": 100, "parts": [{"file": "a", "path": "1"}]},
        {"package": "y==1", "bytes": 30, "parts": [{"file": "a", "path": "2"}]},
    ]
    entry = make_model(
        {"a": b"12345"},
        sources=[{"kind": "index", "carriers": carriers}],
        convert={"name": "piper", "version": 1, "files": [{"name": "b", "bytes": 7, "sha256": ""}]},
    )
    model = catalog.Model.model_validate({"name": "m", **entry})
    assert model.installed_bytes == 7
    assert model.pull_bytes == 130 + 100 + 5 + 7
