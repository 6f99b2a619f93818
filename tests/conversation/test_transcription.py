import asyncio
from collections.abc import AsyncIterator, Mapping

import numpy as np
import pytest

from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.segmenter import SegmentSettings
from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
from voxgate.domain import SPEECH_RATE, FileTranscript, Recognition, Samples, Transcript, Word
from voxgate.errors import Code, EngineError, PeerError

W = 512
ENGLISH = TranscriptionRequest()


class LoudIsSpeech:
    """A voice detector that hears speech in everything above a level."""

    window = W

    def open(self) -> "LoudIsSpeech":
        return self

    def probability(self, window: Samples) -> float:
        assert window.shape == (W,)
        return 0.9 if float(np.max(np.abs(window))) > 0.05 else 0.0


class Numbered:
    """A recognizer that answers with the level of what it is given, times 100, after a few turns of the loop."""

    languages: Mapping[str, str] = {"en": "good"}
    max_seconds = 30.0

    def __init__(self) -> None:
        self.requests: list[Recognition] = []
        self.active = self.most = self.cancelled = 0

    async def recognize(self, request: Recognition) -> Transcript:
        self.requests.append(request)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            return await self.answer(request, f"{np.max(np.abs(request.audio)) * 100:.0f}")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.active -= 1

    async def answer(self, request: Recognition, text: str) -> Transcript:
        for _ in range(1 if int(text) % 2 else 30):  # odd ones overtake even ones
            await asyncio.sleep(0)
        words = (Word(text, 3200, 6400, 0.5),) if request.words else ()
        return Transcript(text, request.language, words, 0.9)


def talk(*levels: int, seconds: float = 2.0, pause: float = 1.0) -> Samples:
    """A second of silence, then for each level that much speech and a pause."""
    pieces = [np.zeros(SPEECH_RATE, np.float32)]
    for level in levels:
        pieces += [
            np.full(int(seconds * SPEECH_RATE), level / 100, np.float32),
            np.zeros(int(pause * SPEECH_RATE), np.float32),
        ]
    return np.concatenate(pieces)


class Source:
    """Blocks of an audio, counted as they are taken."""

    def __init__(self, audio: Samples, size: int = SPEECH_RATE, error: Exception | None = None) -> None:
        self.taken = 0
        self._audio, self._size, self._error = audio, size, error

    async def __aiter__(self) -> AsyncIterator[Samples]:
        for at in range(0, len(self._audio), self._size):
            self.taken += 1
            yield self._audio[at : at + self._size]
        if self._error:
            raise self._error


async def transcribe(
    audio: Samples,
    stt: Numbered,
    request: TranscriptionRequest = ENGLISH,
    *,
    size: int = SPEECH_RATE,
    look_ahead: int = 2,
) -> FileTranscript:
    return await Transcriber(LoudIsSpeech(), stt, look_ahead=look_ahead).transcribe(aiter(Source(audio, size)), request)


@pytest.mark.parametrize("size", [160, 512, 16_000, 1_000_000])
async def test_segments_come_in_order_whatever_the_blocks(size: int) -> None:
    audio = talk(20, 31, 40, 51)
    result = await transcribe(audio, Numbered(), size=size)
    assert result.text == "20 31 40 51"
    assert [segment.start for segment in result.segments] == [
        (SPEECH_RATE * (1 + 3 * number)) // W * W - SPEECH_RATE // 4 for number in range(4)
    ]
    assert result.duration == len(audio)
    assert result.duration == 13 * SPEECH_RATE
    assert result.language == "en"


@pytest.mark.parametrize("audio", [talk(), np.zeros(0, np.float32), np.zeros(100, np.float32), talk(3)])
async def test_where_nobody_speaks_nothing_is_recognized(audio: Samples) -> None:
    stt = Numbered()
    result = await transcribe(audio, stt)
    assert (result.text, result.segments, result.duration) == ("", (), len(audio))
    assert stt.requests == []


async def test_words_are_moved_to_their_place_in_the_recording() -> None:
    result = await transcribe(talk(20, 30), Numbered(), TranscriptionRequest(words=True))
    for segment in result.segments:
        (word,) = segment.words
        assert (word.start, word.end, word.confidence) == (segment.start + 3200, segment.start + 6400, 0.5)


async def test_a_short_utterance_gets_silence_around_it_and_its_words_do_not_move() -> None:
    stt = Numbered()
    audio = np.concatenate([np.full(6400, 0.3, np.float32), np.zeros(SPEECH_RATE, np.float32)])
    result = await transcribe(audio, stt, TranscriptionRequest(words=True))
    (segment,) = result.segments
    (request,) = stt.requests
    assert len(request.audio) == (segment.end - segment.start) + 1600 + 3200
    assert not request.audio[:1600].any()
    assert (segment.words[0].start, segment.words[0].end) == (1600, 4800)


async def test_quiet_speech_is_raised() -> None:
    class Sensitive(LoudIsSpeech):
        def probability(self, window: Samples) -> float:
            return 0.9 if window.any() else 0.0

    stt = Numbered()
    source = Source(talk(1))
    await Transcriber(Sensitive(), stt).transcribe(aiter(source), ENGLISH)
    assert float(np.max(stt.requests[0].audio)) == pytest.approx(0.25, abs=0.01)


async def test_the_request_reaches_the_engine() -> None:
    stt = Numbered()
    await transcribe(talk(20), stt, TranscriptionRequest("en-SG", ("Voxgate",), words=True))
    (request,) = stt.requests
    assert (request.language, request.hints, request.words) == ("en-SG", ("Voxgate",), True)
    assert request.speech_certain


async def test_empty_answers_leave_no_segment() -> None:
    class Deaf(Numbered):
        async def answer(self, request: Recognition, text: str) -> Transcript:
            return Transcript("  " if text == "30" else text, "en")

    result = await transcribe(talk(20, 30, 40), Deaf())
    assert result.text == "20 40"


async def test_languages_without_spaces_are_joined_without() -> None:
    result = await transcribe(talk(20, 30), Numbered(), TranscriptionRequest("th"))
    assert result.text == "2030"


@pytest.mark.parametrize("look_ahead", [1, 3])
async def test_no_more_than_look_ahead_are_recognized_at_once(look_ahead: int) -> None:
    class Gathering(Numbered):
        async def answer(self, request: Recognition, text: str) -> Transcript:
            while self.most < look_ahead:
                await asyncio.sleep(0)
            return await super().answer(request, text)

    stt = Gathering()
    await transcribe(talk(*range(20, 40)), stt, look_ahead=look_ahead)
    assert stt.most == look_ahead


async def test_a_file_is_read_no_faster_than_it_is_recognized() -> None:
    source, stt = Source(talk(*range(20, 60))), Numbered()
    async with Transcriber(LoudIsSpeech(), stt, look_ahead=2).open(aiter(source), ENGLISH) as run:
        first = await anext(run)
        assert first.text == "20"
        assert source.taken <= 4 * 3 + 2
        assert run.duration == source.taken * SPEECH_RATE


async def test_leaving_early_cancels_what_is_at_work() -> None:
    class Endless(Numbered):
        async def answer(self, request: Recognition, text: str) -> Transcript:
            if text != "20":
                await asyncio.Event().wait()
            return Transcript(text, "en")

    stt = Endless()
    async with Transcriber(LoudIsSpeech(), stt, look_ahead=3).open(aiter(Source(talk(20, 30, 40, 50))), ENGLISH) as run:
        await anext(run)
        for _ in range(3):
            await asyncio.sleep(0)
        pending = asyncio.create_task(anext(run))
        while stt.active < 3:
            await asyncio.sleep(0)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
    assert (stt.active, stt.cancelled) == (0, 3)


async def test_an_engine_error_comes_out_in_its_turn_and_ends_the_rest() -> None:
    class Failing(Numbered):
        async def answer(self, request: Recognition, text: str) -> Transcript:
            if text == "30":
                raise EngineError("worn out", engine="numbered")
            return await super().answer(request, text)

    stt = Failing()
    texts: list[str] = []
    with pytest.raises(EngineError, match="worn out"):
        async with Transcriber(LoudIsSpeech(), stt, look_ahead=3).open(aiter(Source(talk(20, 30, 40))), ENGLISH) as run:
            texts += [segment.text async for segment in run]
    assert stt.active == 0


async def test_a_file_that_turns_out_bad_says_so() -> None:
    source = Source(talk(20, 30), error=PeerError("broken", code=Code.INVALID_AUDIO, param="file"))
    with pytest.raises(PeerError, match="broken"):
        await Transcriber(LoudIsSpeech(), Numbered()).transcribe(aiter(source), ENGLISH)


async def test_limits_come_from_the_engine() -> None:
    class Brief(Numbered):
        max_seconds = 4.0

    stt = Brief()
    await transcribe(talk(20, seconds=21), stt)
    assert max(len(request.audio) for request in stt.requests) <= 4 * SPEECH_RATE


async def test_settings_are_handed_on() -> None:
    settings = SegmentSettings(EndpointSettings(silence_ms=2000))
    transcriber = Transcriber(LoudIsSpeech(), Numbered(), settings=settings)
    result = await transcriber.transcribe(aiter(Source(talk(20, 30))), ENGLISH)
    assert len(result.segments) == 1


class Saying(Numbered):
    """A recognizer that says the next of some lines."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.lines = iter(lines)

    async def answer(self, request: Recognition, text: str) -> Transcript:
        return Transcript(next(self.lines), request.language)


async def test_segments_are_corrected_and_the_raw_text_is_kept() -> None:
    lines = ("Um, we go to the", "the store on monday.", "cafe\u0301 is open")
    found = await transcribe(talk(20, 30, 40), Saying(*lines), look_ahead=1)
    assert [each.text for each in found.segments] == ["We go to the", "the store on Monday.", "Café is open"]
    assert found.text == "We go to the the store on Monday. Café is open"
    assert found.raw == "Um, we go to the the store on monday. café is open"
    assert [(each.original, each.start) for each in found.corrections] == [
        ("Um, ", 0),
        ("we", 4),
        ("monday", 30),
        ("café", 38),
    ]
    assert all(found.raw[each.start : each.end] == each.original for each in found.corrections)


async def test_correction_can_be_left_out() -> None:
    found = await transcribe(talk(20), Saying(" um, cafe\u0301 "), TranscriptionRequest(correct=False))
    assert (found.text, found.raw, found.corrections) == ("um, café", "um, café", ())


@pytest.mark.parametrize(("named", "text"), [(("en-SG",), "You want uh"), (("en",), "You want"), ((), "You want")])
async def test_the_variant_the_client_named_has_its_own_rules(named: tuple[str, ...], text: str) -> None:
    found = await transcribe(talk(20), Saying("You want uh"), TranscriptionRequest(named=named))
    assert (found.text, found.language) == (text, "en")
