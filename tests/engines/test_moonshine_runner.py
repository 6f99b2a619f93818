from collections.abc import Callable

import numpy as np
import pytest

from tests.engines.moonshine_data import PIECES, VOCABULARY, Hearing, Next, says, tokens
from voxgate.domain import Recognition, Samples
from voxgate.engines.moonshine_guards import LEAD_SAMPLES, TAIL_SAMPLES
from voxgate.engines.moonshine_runner import Job, MoonshineRunner, Outcome
from voxgate.errors import Code, PeerError

SECONDS = 2
AUDIO: Samples = np.asarray(0.3 * np.sin(np.arange(SECONDS * 16_000) * 0.2), np.float32)


def run(model: Hearing, job: Job | None = None, cancelled: Callable[[], bool] = lambda: False) -> Outcome:
    (outcome,) = MoonshineRunner(VOCABULARY, model).run(job or Job(Recognition(AUDIO)), cancelled)
    return outcome


def asked(**options: object) -> Job:
    return Job(Recognition(AUDIO, **options))  # type: ignore[arg-type]


def hesitant(text: str) -> Next:
    """Ends at once, though "hello" is nearly as likely, and clear once said."""
    return {"</s>": 9.0, "▁hello": 8.0} if not text else {"</s>": 9.0}


def guessing(text: str) -> Next:
    """Ends at once, and would say anything."""
    return {"</s>": 9.0} | ({} if text else dict.fromkeys(PIECES[4:10], 0.0))


def doubtful(text: str) -> Next:
    return {"</s>": 9.0} if text else {"▁hello": 1.0, "▁New": 0.9, "▁York": 0.9, "▁vo": 0.9, "▁box": 0.9}


def test_what_was_said() -> None:
    outcome = run(Hearing(says("▁hello", "▁New", "▁York", ".")))
    assert outcome.transcript.text == "hello New York."
    assert outcome.transcript.language == "en"
    assert outcome.transcript.words == ()
    assert outcome.transcript.confidence == pytest.approx(1, abs=1e-3)
    assert not outcome.transcript.unclear
    assert outcome.guards == ()
    assert outcome.tokens == tokens("▁hello", "▁New", "▁York", ".")
    assert outcome.seconds > 0


def test_guard_a_questions_an_empty_text_without_encoding_again() -> None:
    model = Hearing(hesitant)
    outcome = run(model)
    assert (outcome.transcript.text, outcome.guards) == ("hello", ("guard_a",))
    assert len(model.heard) == 1


def test_guard_a_believes_in_silence_where_nothing_is_likely() -> None:
    outcome = run(Hearing(guessing))
    assert (outcome.transcript.text, outcome.transcript.confidence) == ("", None)
    assert outcome.guards == ("guard_a",)
    assert not outcome.transcript.unclear


def test_guard_a_is_off_where_nobody_heard_speech() -> None:
    outcome = run(Hearing(hesitant), asked(speech_certain=False))
    assert (outcome.transcript.text, outcome.guards) == ("", ())


def test_guard_b_doubts_an_unlikely_text() -> None:
    outcome = run(Hearing(doubtful))
    assert (outcome.transcript.text, outcome.transcript.unclear, outcome.guards) == ("hello", True, ("guard_b",))


def test_guard_b_drops_it_where_nobody_heard_speech() -> None:
    outcome = run(Hearing(doubtful), asked(speech_certain=False, words=True))
    assert (outcome.transcript.text, outcome.transcript.words, outcome.transcript.unclear) == ("", (), False)


def test_guard_c_pads_and_tries_again_after_a_loop() -> None:
    model = Hearing(lambda _: {"▁hello": 9.0}, says("▁hello"))
    outcome = run(model)
    assert (outcome.transcript.text, outcome.guards) == ("hello", ("guard_c",))
    assert [len(audio) for audio in model.heard] == [len(AUDIO), len(AUDIO) + LEAD_SAMPLES + TAIL_SAMPLES]


@pytest.mark.parametrize("hints", [(), ("Voxgate",)])
def test_a_loop_that_stays_is_said_once(hints: tuple[str, ...]) -> None:
    outcome = run(Hearing(lambda _: {"▁hello": 30.0}), asked(words=True, hints=hints))
    assert (outcome.transcript.text, outcome.guards) == ("hello", ("guard_c",))
    assert [word.text for word in outcome.transcript.words] == ["hello"]


def test_guard_c_tries_again_when_the_text_does_not_end() -> None:
    def endless(text: str) -> Next:
        return {PIECES[4 + (len(text) * 7 + text.count("o")) % 9]: 9.0}

    model = Hearing(endless, says("▁hello"))
    assert run(model).guards == ("guard_c",)
    assert len(model.heard) == 2


def test_words_have_times_in_the_callers_audio_and_the_probability_of_their_weakest_token() -> None:
    def hears(text: str) -> Next:
        return {"": {"▁New": 5.0, "▁vo": 5.0}, "▁New": {"▁York": 9.0}, "▁New▁York": {"shire": 9.0}}.get(
            text, {"</s>": 9.0}
        )

    short = Job(Recognition(AUDIO[:8_000], words=True, speech_certain=False))
    words = run(Hearing(hears), short).transcript.words
    assert [word.text for word in words] == ["New", "Yorkshire"]
    assert words[0].confidence == pytest.approx(0.5, abs=1e-3)
    assert words[1].confidence == pytest.approx(1, abs=1e-3)
    assert all(0 <= word.start <= word.end <= 8_000 for word in words)


def test_hints_bias_and_spell() -> None:
    def box_rather_than_voxgate(text: str) -> Next:
        return {"": {"▁box": 9.0, "▁vo": 4.0}, "▁vo": {"x": 9.0}, "▁vox": {"gate": 9.0}}.get(text, {"</s>": 9.0})

    assert run(Hearing(box_rather_than_voxgate)).transcript.text == "box"
    assert run(Hearing(box_rather_than_voxgate), asked(hints=("VoxGate",))).transcript.text == "VoxGate"


def test_a_forced_prefix_is_kept() -> None:
    assert (
        run(Hearing(says("▁hello", "▁New")), Job(Recognition(AUDIO), tokens("▁hello"))).transcript.text == "hello New"
    )
    assert run(Hearing(says("▁box")), Job(Recognition(AUDIO), tokens("▁hello"))).transcript.text == "hello"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(bad: float) -> None:
    audio = AUDIO.copy()
    audio[100] = bad
    with pytest.raises(PeerError) as caught:
        run(Hearing(says("▁hello")), Job(Recognition(audio)))
    assert caught.value.code is Code.INVALID_AUDIO


def test_nothing_comes_once_the_caller_has_left() -> None:
    runner = MoonshineRunner(VOCABULARY, Hearing(says("▁hello")))
    assert list(runner.run(Job(Recognition(AUDIO)), lambda: True)) == []


def test_a_partial_that_loops_is_not_read_again() -> None:
    model = Hearing(says(*["▁hello"] * 50))
    outcome = run(model, Job(Recognition(AUDIO), partial=True))
    assert outcome.guards == ("guard_c",)
    assert len(model.heard) == 1


def test_a_text_says_where_it_can_be_cut() -> None:
    outcome = run(Hearing(says("▁hello", "▁New", "▁York", ".")))
    assert outcome.cuts == (1, 2, 4)
    assert run(Hearing(says())).cuts == ()
    assert run(Hearing(says("▁hello")), asked(hints=("York",))).cuts == (), "hints may respell it"
