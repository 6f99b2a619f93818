import asyncio

import numpy as np
import pytest

from tests.conversation.ears import Ears, Tells, levels, voice
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.live_listening import LiveListening, Piece
from voxgate.domain import SPEECH_RATE, Guess, LiveRecognition, Partial, Partials, Samples
from voxgate.errors import Code, EngineError, RefusedError

MIXED = TranscriptionRequest("en", among=("en", "vi", "ja"), given=False)
FORCED = TranscriptionRequest("vi", among=("vi", "en", "ja"))
BLOCK = SPEECH_RATE // 10


def piece(shown: list[str] | None = None) -> Piece:
    new = Piece(1000, lambda: None if shown is None else shown.append(f"{new.said.language}: {new.said.text}"))
    return new


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def speak(new: Piece, audio: Samples) -> None:
    for at in range(0, len(audio), BLOCK):
        new.feed(audio[at : at + BLOCK], 0)
        await settle()


async def hear(listening: LiveListening, audio: Samples, shown: list[str] | None = None) -> Piece:
    """A piece that is spoken in its time."""
    new = piece(shown)
    task = asyncio.create_task(listening.hear(new))
    await speak(new, audio)
    new.cut(1000 + len(audio))
    await task
    return new


def test_the_audio_of_a_piece() -> None:
    new, audio = piece(), np.arange(1000, dtype=np.float32)
    assert new.audio().shape == (0,)
    for at in range(0, 1000, 130):
        new.feed(audio[at : at + 130], at)
    assert new.size == 1000
    assert new.silence == 910
    for first, length in ((0, None), (0, 1000), (0, 5), (129, 2), (130, 130), (999, None), (400, 300), (1000, None)):
        end = None if length is None else first + length
        assert np.array_equal(new.audio(first, length), audio[first:end])
    assert new.length is None
    new.cut(1900)
    assert new.length == 900


async def test_a_piece_is_heard_as_it_comes() -> None:
    ears, shown = Ears(), list[str]()
    new = await hear(
        LiveListening(ears, TranscriptionRequest(hints=("Voxgate",), words=True), Partials.CALM), voice(20, 30), shown
    )
    (utterance,) = ears.utterances
    assert utterance.request == LiveRecognition("en", ("Voxgate",), words=True, partials=Partials.CALM)
    assert np.array_equal(utterance.audio, voice(20, 30))
    assert (shown[0], shown[-1]) == ("en: 20", "en: 20 30")
    assert new.said.heard is not None
    assert (new.said.heard.text, new.said.is_final) == ("20 30", True)
    assert ears.active == 0


async def test_what_belongs_to_the_piece_is_said_by_its_end() -> None:
    ears, new = Ears(), piece()
    new.feed(voice(20, 30), 0)
    new.cut(1000 + 2 * SPEECH_RATE)
    await LiveListening(ears, TranscriptionRequest(), Partials.FAST).hear(new)
    assert ears.utterances[0].length == 2 * SPEECH_RATE
    assert new.said.heard is not None
    assert new.said.heard.text == "20"


async def test_another_language_is_heard_from_the_beginning() -> None:
    ears, shown, tells = Ears(), list[str](), Tells({"20": [("vi", 0.9)]})
    listening = LiveListening(ears, MIXED, Partials.FAST, tells)
    new = await hear(listening, voice(20, seconds=3, pause=0), shown)
    assert [each.request.language for each in ears.utterances] == ["en", "vi"]
    assert ears.utterances[0].left
    assert ears.utterances[0].length is None
    assert np.array_equal(ears.utterances[1].audio, voice(20, seconds=3, pause=0))
    assert new.said.heard is not None
    assert new.said.heard.text == "vi 20"
    assert shown[0] == "en: 20"
    assert shown[-1] == "vi: vi 20"
    assert shown == sorted(shown), "no partial in English once it is Vietnamese"
    (asked,) = tells.asked
    assert 2 * SPEECH_RATE <= asked[1] <= 2 * SPEECH_RATE + BLOCK, "as soon as there is enough"
    assert listening.language == "vi"


async def test_two_sure_ones_lock_the_language() -> None:
    ears, tells = Ears(), Tells({"20": [("vi", 0.9)], "30": [("vi", 0.9)]})
    listening = LiveListening(ears, MIXED, Partials.FAST, tells)
    for level in (20, 30, 40):
        await hear(listening, voice(level, seconds=3, pause=0))
    assert [each.request.language for each in ears.utterances] == ["en", "vi", "vi", "vi"]
    assert [level for level, _ in tells.asked] == ["20", "30"]


async def test_a_short_piece_takes_the_language_of_the_session_so_far() -> None:
    tells = Tells({"20": [("vi", 0.9)]})
    listening = LiveListening(Ears(), MIXED, Partials.FAST, tells, margin=SPEECH_RATE)
    texts = [await hear(listening, voice(level, seconds=s, pause=0)) for level, s in ((30, 2.9), (20, 3), (30, 2.9))]
    assert [each.said.heard and each.said.heard.text for each in texts] == ["30", "vi 20", "vi 30"]
    assert len(tells.asked) == 1


async def test_silence_behind_it_does_not_make_a_piece_long_enough() -> None:
    tells = Tells({})
    new = piece()
    task = asyncio.create_task(LiveListening(Ears(), MIXED, Partials.FAST, tells).hear(new))
    new.feed(voice(20, seconds=3, pause=0), SPEECH_RATE + 1)
    await settle()
    assert tells.asked == []
    new.cut(1000 + 2 * SPEECH_RATE - 1)
    await task
    assert tells.asked == []


async def test_where_it_was_not_told_early_it_is_told_at_the_end() -> None:
    ears, tells, new = Ears(), Tells({"20": [("vi", 0.9)]}), piece()
    new.feed(voice(20, seconds=3, pause=0), 0)
    new.cut(1000 + 3 * SPEECH_RATE)
    await LiveListening(ears, MIXED, Partials.FAST, tells).hear(new)
    assert new.said.heard is not None
    assert new.said.heard.text == "vi 20"
    assert tells.asked == [("20", 3 * SPEECH_RATE)]


async def test_a_guess_that_was_not_sure_is_made_again_with_all_of_the_audio() -> None:
    ears, tells = Ears(), Tells({"20": [("vi", 0.6), ("ja", 0.9)]})
    new = await hear(LiveListening(ears, MIXED, Partials.FAST, tells), voice(20, seconds=4, pause=0))
    assert [each.request.language for each in ears.utterances] == ["en", "vi", "ja"]
    assert new.said.heard is not None
    assert new.said.heard.text == "ja 20"
    assert tells.asked[1] == ("20", 4 * SPEECH_RATE)


async def test_a_piece_that_has_begun_follows_the_one_before_it() -> None:
    ears, tells = Ears(), Tells({"20": [("vi", 0.9)]})
    listening = LiveListening(ears, MIXED, Partials.FAST, tells)
    first, second = piece(), piece()
    tasks = [asyncio.create_task(listening.hear(each)) for each in (first, second)]
    second.feed(voice(30, seconds=1, pause=0), 0)
    await settle()
    assert second.said.text == "30"
    first.feed(voice(20, seconds=3, pause=0), 0)
    await settle()
    second.feed(voice(30, seconds=0.1, pause=0), 0)
    await settle()
    assert second.said.text == "vi 30"
    first.cut(1000 + SPEECH_RATE)
    second.cut(1000 + SPEECH_RATE)
    await asyncio.gather(*tasks)


async def test_who_is_at_capacity_is_asked_again_at_the_end() -> None:
    tells = Tells({"20": [RefusedError("busy", code=Code.BUSY), ("vi", 0.9)]})
    new = await hear(LiveListening(Ears(), MIXED, Partials.FAST, tells), voice(20, seconds=3, pause=0))
    assert new.said.heard is not None
    assert new.said.heard.text == "vi 20"


async def test_who_fails_ends_it() -> None:
    ears, tells = Ears(), Tells({"20": [EngineError("worn out", engine="tells")]})
    with pytest.raises(EngineError, match="worn out"):
        await hear(LiveListening(ears, MIXED, Partials.FAST, tells), voice(20, seconds=3, pause=0))
    assert ears.active == 0


async def test_leaving_leaves_nothing_at_work() -> None:
    class Never(Tells):
        async def identify(self, audio: Samples, among: object) -> list[Guess]:
            await asyncio.Event().wait()
            raise AssertionError

    ears, new = Ears(), piece()
    task = asyncio.create_task(LiveListening(ears, MIXED, Partials.FAST, Never({})).hear(new))
    await speak(new, voice(20, seconds=3, pause=0))
    assert ears.active == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ears.active == 0
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("request_", [TranscriptionRequest("vi"), FORCED, TranscriptionRequest("vi", given=False)])
async def test_a_language_that_was_given_or_has_no_other_is_the_one_that_is_heard(
    request_: TranscriptionRequest,
) -> None:
    ears, tells = Ears(), Tells({})
    await hear(LiveListening(ears, request_, Partials.FAST, tells), voice(20, seconds=3, pause=0))
    assert [each.request.language for each in ears.utterances] == ["vi"]
    assert tells.asked == []


async def test_a_given_language_is_contradicted_once() -> None:
    ears, tells = Ears(), Tells({"20": [("en", 0.9)]})
    ears.unclear = {"vi 20"}
    listening = LiveListening(ears, FORCED, Partials.FAST, tells, margin=SPEECH_RATE)
    assert await listening.contradiction(piece()) is None
    assert await listening.contradiction(await hear(listening, voice(20, seconds=2.9, pause=0))) is None
    clear = await hear(listening, voice(30, seconds=3, pause=0))
    assert await listening.contradiction(clear) is None
    assert tells.asked == []
    new = await hear(listening, voice(20, seconds=3, pause=0))
    assert await listening.contradiction(new) == Guess("en", 0.9)
    assert await listening.contradiction(new) is None
    assert levels(new.audio()) == "20"


def test_what_a_partial_covers_is_counted_from_the_beginning_of_the_session() -> None:
    new = piece()
    new.show("vi", Partial("xin", 100))
    assert (new.said.text, new.said.until, new.said.language) == ("xin", 1100, "vi")
