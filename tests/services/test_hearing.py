from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from voxgate.domain import Guess, LiveRecognition, Partial, Recognition, Samples, Transcript
from voxgate.errors import Code, PeerError
from voxgate.languages import ENGLISH, parse
from voxgate.ports import LanguageIdentifier, LiveUtterance, Recognizer
from voxgate.services.hearing import Ears, choose_ears, named_languages
from voxgate.services.polyglot import Polyglot


@dataclass
class Hears:
    """A recognizer that says its own name."""

    name: str
    languages: Mapping[str, str]
    max_seconds: float = 30.0

    async def recognize(self, request: Recognition) -> Transcript:
        return Transcript(self.name, request.language)

    @asynccontextmanager
    async def open(self, request: LiveRecognition, told: Callable[[Partial], None]) -> AsyncIterator[LiveUtterance]:
        told(Partial(f"{self.name} {request.language}", 1))
        yield NotUsed()


class NotUsed:
    """A live utterance of which nothing is wanted."""

    def feed(self, audio: Samples, silence: int) -> None:
        raise AssertionError("nobody speaks here")

    async def finish(self, length: int) -> Transcript:
        raise AssertionError("nobody speaks here")


class Tells(Hears):
    """One that tells languages apart besides."""

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        raise AssertionError("nobody is asked here")


MOON = Hears("moon", {"en": "good"})
WHISPER = Tells("whisper", {"vi": "fair", "ja": "fair", "th": "weak", "en": "fair"})
RUNNING: list[tuple[str, Recognizer]] = [("moon", MOON), ("whisper", WHISPER)]


def ears(
    language: str | None,
    *,
    default: str = "en",
    running: Sequence[tuple[str, Recognizer]] = RUNNING,
    identifier: LanguageIdentifier | None = WHISPER,
) -> Ears:
    return choose_ears(running, named_languages(language) or (), parse(default), identifier)


@pytest.mark.parametrize(
    ("language", "tags"),
    [
        (None, None),
        ("", None),
        (" , ", None),
        ("auto", ()),
        ("vi, AUTO", ()),
        ("vi", ("vi",)),
        ("Vietnamese,vi-VN,vie", ("vi",)),
        ("english , singlish", ("en", "en-SG")),
    ],
)
def test_what_a_client_names(language: str | None, tags: tuple[str, ...] | None) -> None:
    found = named_languages(language)
    assert (None if found is None else tuple(each.tag for each in found)) == tags


def test_a_name_that_is_no_language() -> None:
    with pytest.raises(PeerError, match="klingon"):
        named_languages("vi,klingon")


def test_one_language_is_given() -> None:
    found = ears("vi")
    assert (found.name, found.stt, found.language, found.given) == ("whisper", WHISPER, "vi", True)
    assert found.among == ("vi", "en", "ja"), "what may contradict it is what is heard well"
    assert found.identifier is WHISPER


def test_english_goes_to_the_engine_that_comes_first() -> None:
    found = ears("en-SG")
    assert (found.name, found.stt, found.language) == ("moon", MOON, "en")


def test_a_weak_language_has_to_be_named() -> None:
    assert "th" not in ears("auto").among
    assert ears("th").among == ("th", "en", "vi", "ja")


def test_without_a_language_those_heard_well_are_told_apart() -> None:
    found = ears(None)
    assert (found.name, found.language, found.given) == ("moon", "en", False)
    assert found.among == ("en", "vi", "ja")
    assert isinstance(found.stt, Polyglot)
    assert found.stt.languages == {"en": "good", "vi": "fair", "ja": "fair"}


def test_the_default_is_told_apart_even_if_it_is_heard_weakly() -> None:
    found = ears("auto", default="th")
    assert (found.language, found.among) == ("th", ("th", "en", "vi", "ja"))


def test_a_list_is_told_apart_from_the_default_or_its_first() -> None:
    assert ears("vi,en").language == "en"
    found = ears("ja,th")
    assert (found.language, found.among, found.given, found.stt) == ("ja", ("ja", "th"), False, WHISPER)
    assert ears("singlish,english").given, "both are heard as English"


def test_one_engine_for_all_of_them_needs_no_other() -> None:
    found = ears(None, running=[("whisper", WHISPER)])
    assert (found.stt, found.name) == (WHISPER, "whisper")


def test_where_nobody_tells_languages_apart() -> None:
    deaf = Hears("deaf", {"en": "good", "vi": "fair"})
    for language, heard in ((None, "en"), ("vi", "vi")):
        found = ears(language, running=[("deaf", deaf)], identifier=None)
        assert (found.name, found.stt, found.language, found.among, found.identifier) == ("deaf", deaf, heard, (), None)
    with pytest.raises(PeerError) as caught:
        ears("vi,en", running=[("deaf", deaf)], identifier=None)
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_LANGUAGE, "language")


@pytest.mark.parametrize("language", ["amharic", "vi,amharic", "fil"])
def test_a_language_nobody_hears_names_those_that_are_heard(language: str) -> None:
    with pytest.raises(PeerError) as caught:
        ears(language)
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_LANGUAGE, "language")
    assert "served: English, Japanese, Thai, Vietnamese" in caught.value.message


def test_english_is_the_default_of_the_registry() -> None:
    assert choose_ears(RUNNING, (), ENGLISH, WHISPER).language == "en"
