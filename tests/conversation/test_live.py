import asyncio

import numpy as np
import pytest

from tests.conversation.ears import Ears, LoudIsSpeech, Tells, W, silence, voice
from tests.conversation.live_sessions import BY_COMMIT, PLAIN, FakeTimers, Told, opened, session_of, settle, speak
from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.live import LiveTranscriber, LiveWanted, TranscriptionRequest
from voxgate.domain import (
    SPEECH_RATE,
    FinalHeard,
    Guess,
    LanguageContradicted,
    PartialHeard,
    Partials,
    Samples,
    SpeechEdge,
)

# segments that silence ends


@pytest.mark.parametrize("size", [160, 320, 999, 4096, 100_000])
async def test_what_is_said_between_silences_gets_a_final_each(size: int) -> None:
    audio = np.concatenate([silence(1), voice(20, 31, 40)])
    told = await session_of(audio, size=size)
    assert told.segments == [
        (
            number,
            SPEECH_RATE * (1 + 2 * number) // W * W - 4000,
            -(-SPEECH_RATE * (2 + 2 * number) // W) * W + 3200,
            text,
        )
        for number, text in enumerate(["20", "31", "40"])
    ]
    assert told.edges == [
        (started, at) for _, start, end, _ in told.segments for started, at in ((True, start), (False, end))
    ]


async def test_partials_flow_while_somebody_speaks_and_none_follows_the_final() -> None:
    told = await session_of(voice(20, 30, pause=0.2))
    assert told.partials == [(0, "20"), (0, "20 30")]
    assert [type(event) for event in told] == [SpeechEdge, PartialHeard, PartialHeard, SpeechEdge, FinalHeard]


async def test_a_final_is_told_as_soon_as_it_is_known() -> None:
    told = Told()
    async with opened(told, Ears()) as session:
        await speak(session, voice(20, pause=0.51))
        assert told.finals == []
        await speak(session, silence(0.1))
        assert told.finals == ["20"]


async def test_the_silence_that_ends_a_segment_is_the_one_asked_for() -> None:
    audio = voice(20, 31, pause=0.7)
    assert (await session_of(audio)).finals == ["20", "31"]
    assert (await session_of(audio, LiveWanted(endpoint=EndpointSettings(silence_ms=1000)))).finals == ["20 31"]


async def test_partials_and_edges_can_be_off() -> None:
    told = await session_of(voice(20, 30), LiveWanted(partials=Partials.OFF, speech_events=False))
    assert [type(event) for event in told] == [FinalHeard, FinalHeard]


async def test_what_is_no_word_has_no_final_and_its_number_is_not_used_again() -> None:
    told = await session_of(voice(20, 99, 30))
    assert [(number, text) for number, _, _, text in told.segments] == [(0, "20"), (2, "30")]


async def test_long_speech_is_cut_at_a_short_pause_and_each_piece_has_its_final() -> None:
    audio = np.concatenate([voice(20, seconds=16, pause=0.15), voice(30, seconds=5)])
    told = await session_of(audio, size=1600)
    assert told.finals == ["20", "30"]
    assert len(told.edges) == 2
    assert told.segments[0][2] == told.segments[1][1]


async def test_the_longest_an_engine_takes_is_kept_to() -> None:
    told = await session_of(voice(20, seconds=21, pause=1), ears=Ears(max_seconds=5), size=1600)
    assert set(told.finals) == {"20"}
    assert len(told.finals) >= 5


async def test_silence_costs_no_recognition() -> None:
    ears = Ears()
    await session_of(silence(20), ears=ears, size=1600)
    assert ears.utterances == []


async def test_the_engine_is_told_how_long_nobody_has_spoken() -> None:
    ears = Ears()
    await session_of(voice(20, pause=1), ears=ears)
    (utterance,) = ears.utterances
    spoken = -(-SPEECH_RATE // W) * W
    assert all(silence == max(0, size - spoken) for size, silence in utterance.silences)
    assert utterance.silences[-1][1] == 16 * W


# commits


@pytest.mark.parametrize("wanted", [PLAIN, BY_COMMIT])
async def test_every_commit_is_answered_by_one_final(wanted: LiveWanted) -> None:
    told = Told()
    async with opened(told, Ears(), wanted) as session:
        await session.commit()
        await speak(session, voice(20, pause=0))
        await session.commit()
        await session.commit()
        await speak(session, silence(1))
        await session.commit()
        await speak(session, voice(30, pause=0))
        await session.commit()
        await settle()
        assert told.finals == ["", "20", "", "", "30"]
        await session.stop()
    assert told.finals == ["", "20", "", "", "30"]
    assert [number for number, *_ in told.segments] == list(range(5))
    empty = told.segments[0]
    assert empty == (0, 0, 0, "")


async def test_a_commit_behind_the_end_of_speech_is_answered_by_an_empty_final() -> None:
    told = Told()
    async with opened(told, Ears()) as session:
        await speak(session, voice(20, pause=0.6))
        assert told.finals == ["20"]
        await session.commit()
        assert told.finals == ["20", ""]


async def test_a_commit_is_answered_where_what_was_heard_says_nothing() -> None:
    told = Told()
    async with opened(told, Ears()) as session:
        await speak(session, voice(99, pause=0))
        await session.commit()
        await session.stop()
    ((number, start, end, text),) = told.segments
    assert (number, start, text) == (0, 0, "")
    assert end == SPEECH_RATE


async def test_a_commit_takes_in_every_sample_that_was_sent() -> None:
    ears, told = Ears(), Told()
    audio = voice(20, pause=0)[:12_345]
    async with opened(told, ears) as session:
        await session.feed(audio)
        await session.commit()
        assert session.position == 12_345
        await session.stop()
    assert np.array_equal(ears.utterances[0].audio, audio)
    assert told.segments == [(0, 0, 12_345, "20")]


async def test_a_commit_does_not_wait_for_the_final() -> None:
    ears, told = Ears(), Told()
    ears.held["20"] = asyncio.Event()
    async with opened(told, ears) as session:
        await speak(session, voice(20, pause=0))
        await session.commit()
        await speak(session, voice(30, pause=0))
        await session.commit()
        await settle()
        assert told.finals == []
        assert told.partials == [(0, "20")], "what is heard of the next segment waits"
        ears.held["20"].set()
        await settle()
        assert told.finals == ["20", "30"]


# where only commits end segments


async def test_without_turn_detection_silence_ends_nothing() -> None:
    told = Told()
    async with opened(told, Ears(), BY_COMMIT) as session:
        await speak(session, voice(20, 31, 40, pause=3))
        assert told.finals == []
        await session.commit()
        await settle()
        assert told.finals == ["20 31 40"]
        await speak(session, voice(50))
        await session.stop()
    assert told.finals == ["20 31 40", "50"]
    assert told.partials == [(0, "20"), (0, "20 31"), (0, "20 31 40"), (1, "50")]
    assert [started for started, _ in told.edges] == [True, False] * 4


async def test_without_turn_detection_the_cuts_of_a_window_are_nobodys_business() -> None:
    ears, told = Ears(max_seconds=5), Told()
    async with opened(told, ears, LiveWanted(TranscriptionRequest(words=True), endpoint=None)) as session:
        for level in (20, 30, 40):
            await speak(session, voice(level, seconds=6, pause=0))
        await session.commit()
        await session.stop()
    assert len(ears.utterances) >= 4
    (final,) = [event for event in told if isinstance(event, FinalHeard)]
    assert final.heard.text.split(" ")[0] == "20"
    assert final.heard.text.split(" ")[-1] == "40"
    assert (final.heard.start, final.heard.end) == (0, 18 * SPEECH_RATE)
    assert [word.start for word in final.heard.words] == sorted(word.start for word in final.heard.words)
    assert len(final.heard.words) == len(ears.utterances)


async def test_the_pieces_of_a_segment_are_corrected_as_one() -> None:
    class Scripted(Ears):
        def says(self, language: str, audio: Samples) -> str:
            return {"20": "um, we go to the", "30": "store on monday."}.get(super().says(language, audio), "")

    told = await session_of(voice(20, 30, pause=2), BY_COMMIT, Scripted())
    (final,) = [event.heard for event in told if isinstance(event, FinalHeard)]
    assert (final.text, final.raw) == ("We go to the store on Monday.", "um, we go to the store on monday.")
    assert all(final.raw[each.start : each.end] == each.original for each in final.corrections)


async def test_without_turn_detection_nothing_stalls() -> None:
    timers, told = FakeTimers(), Told()
    async with opened(told, Ears(), BY_COMMIT, timers=timers) as session:
        await speak(session, voice(20, pause=0))
        timers.pass_by(60)
        await settle()
        assert told.finals == []


# audio that stops arriving


async def test_a_stall_ends_a_segment_and_more_audio_begins_the_next() -> None:
    timers, told = FakeTimers(), Told()
    async with opened(told, Ears(), timers=timers) as session:
        await speak(session, voice(20, pause=0))
        timers.pass_by(1.4)
        await settle()
        assert told.finals == []
        timers.pass_by(0.2)
        await settle()
        assert told.finals == ["20"]
        timers.pass_by(60)
        await speak(session, voice(30, pause=0))
        timers.pass_by(1.6)
        await settle()
        assert told.finals == ["20", "30"]
        await session.stop()
    assert told.segments[0][2] == SPEECH_RATE
    assert told.segments[1][1] == SPEECH_RATE
    assert len(told.finals) == 2
    assert timers.due == []


async def test_what_keeps_arriving_does_not_stall() -> None:
    timers, told = FakeTimers(), Told()
    async with opened(told, Ears(), timers=timers) as session:
        for _ in range(20):
            await speak(session, voice(20, seconds=0.1, pause=0))
            timers.pass_by(1.4)
            await settle()
        assert told.finals == []
        assert len(timers.due) == 1


async def test_the_stall_asked_for_is_the_one_that_counts_and_none_is_none() -> None:
    for stall_ms, finals in ((200, ["20"]), (None, [])):
        timers, told = FakeTimers(), Told()
        async with opened(told, Ears(), LiveWanted(stall_ms=stall_ms), timers=timers) as session:
            await speak(session, voice(20, pause=0))
            timers.pass_by(0.21)
            await settle()
            assert told.finals == finals


async def test_while_nobody_takes_audio_from_the_client_nothing_stalls() -> None:
    timers, told = FakeTimers(), Told()
    async with opened(told, Ears(), timers=timers) as session:
        await speak(session, voice(20, pause=0))
        with session.paused():
            timers.pass_by(10)
        timers.pass_by(1.4)
        await settle()
        assert told.finals == []
        timers.pass_by(2)
        await settle()
        assert told.finals == ["20"]


async def test_where_nobody_speaks_nothing_is_timed() -> None:
    timers = FakeTimers()
    async with opened(Told(), Ears(), timers=timers) as session:
        await speak(session, silence(5))
        assert timers.due == []


# languages


MIXED = TranscriptionRequest("en", among=("en", "vi", "ja"), given=False)


async def test_an_open_language_is_told_and_locked() -> None:
    told, ears = Told(), Ears()
    tells = Tells({"20": [("vi", 0.9)], "30": [("vi", 0.95)]})
    async with opened(told, ears, LiveWanted(MIXED), identifier=tells) as session:
        await speak(session, voice(50, pause=1))
        await speak(session, voice(20, 30, 40, seconds=4))
        await speak(session, voice(60, pause=1))
        await session.commit()
        await session.stop()
    assert told.finals == ["50", "vi 20", "vi 30", "vi 40", "vi 60", ""]
    assert [event.heard.language for event in told if isinstance(event, FinalHeard)] == ["en"] + ["vi"] * 5
    assert told.partials[1:3] == [(1, "20"), (1, "vi 20")]
    assert len(tells.asked) == 2
    assert not any(isinstance(event, LanguageContradicted) for event in told)


async def test_a_given_language_is_heard_and_its_contradiction_told_once_after_the_final() -> None:
    told, ears = Told(), Ears()
    ears.unclear = {"vi 20", "vi 30"}
    tells = Tells({"20": [("en", 0.9)]})
    request = TranscriptionRequest("vi", among=("vi", "en"), correct=False)
    async with opened(told, ears, LiveWanted(request, partials=Partials.OFF), identifier=tells) as session:
        await speak(session, voice(20, 30, seconds=4))
        await session.stop()
    assert told.finals == ["vi 20", "vi 30"]
    assert [type(event) for event in told] == [
        SpeechEdge,
        SpeechEdge,
        FinalHeard,
        LanguageContradicted,
        SpeechEdge,
        SpeechEdge,
        FinalHeard,
    ]
    assert told[3] == LanguageContradicted(Guess("en", 0.9))


async def test_the_timers_of_the_loop_are_used_where_none_are_handed_in() -> None:
    told = Told()
    async with LiveTranscriber(LoudIsSpeech(), Ears()).open(LiveWanted(stall_ms=1), told.append) as session:
        await session.feed(voice(20, pause=0))
        while not told.finals:
            await asyncio.sleep(0.001)
    assert told.finals == ["20"]


async def test_ten_minutes_take_no_time() -> None:
    phrase = np.concatenate([silence(2), voice(20, seconds=1.5, pause=0.2), voice(30, seconds=1, pause=1.3)])
    told = await session_of(np.tile(phrase, 100), ears=Ears(partials=False), size=1600)
    assert told.finals == ["20 30"] * 100
