import math
import threading
from collections.abc import Callable
from itertools import chain, repeat

import numpy as np
import pytest

from tests.engines.whisper_data import TOKENS, Script
from voxgate.domain import Recognition, Samples, Transcript
from voxgate.engines.whisper_runner import Hear, Outcome, Tell, WhisperRunner
from voxgate.errors import Code, PeerError

GOOD = ("he on a bone", -0.2, 0.01)
LOOP = ("on he a b " * 12, -0.05, 0.01)
TWICE = ("on he a b on he a b", -0.05, 0.01)
INVENTED = ("he on", -1.5, 0.6)
NOISY_LOOP = (LOOP[0], -0.5, 0.5)


def speech(seconds: float = 2.0, seed: int = 0) -> Samples:
    return np.asarray(np.random.default_rng(seed).standard_normal(int(seconds * 16_000)) * 0.1, np.float32)


def hear(
    model: Script,
    audio: Samples | None = None,
    language: str = "en",
    *,
    hints: tuple[str, ...] = (),
    words: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    request = Recognition(speech() if audio is None else audio, language, hints, words)
    (outcome,) = WhisperRunner(TOKENS, model).run(Hear(request), cancelled)
    return outcome


def test_an_utterance_on_its_short_window() -> None:
    model = Script([GOOD])
    outcome = hear(model)
    assert outcome.transcript == Transcript("he on a bone", "en", confidence=math.exp(-0.2))
    assert outcome.guards == ()
    assert outcome.seconds > 0
    assert model.encoded == [500]
    assert model.read == [(TOKENS.prompt("en"), 24, 1)]


@pytest.mark.parametrize("loop", [LOOP, TWICE])
def test_a_loop_is_read_again_with_times_from_the_same_encoding(loop: tuple[str, float, float]) -> None:
    model = Script([loop, GOOD])
    outcome = hear(model)
    assert outcome.transcript is not None
    assert (outcome.transcript.text, outcome.guards) == (GOOD[0], ("loop_retried",))
    assert not outcome.transcript.unclear
    assert model.encoded == [500]
    assert model.read[1] == (TOKENS.prompt("en", times=True), 24, 1)


def test_a_loop_that_stays_is_read_on_the_whole_window() -> None:
    model = Script([LOOP, LOOP, GOOD])
    outcome = hear(model)
    assert outcome.transcript is not None
    assert (outcome.transcript.text, outcome.guards) == (GOOD[0], ("loop_retried", "loop_full"))
    assert model.encoded == [500, 3000]
    assert model.read[2][2] == 5


def test_a_loop_to_the_end_is_said_once_and_doubted() -> None:
    outcome = hear(Script([LOOP]), words=True)
    assert outcome.transcript is not None
    assert outcome.transcript.text == "on he a b"
    assert outcome.transcript.unclear
    assert [word.text for word in outcome.transcript.words] == ["on", "he", "a", "b"]
    assert outcome.guards == ("loop_retried", "loop_full", "loop_cut")


def test_another_language_is_not_worth_the_whole_window() -> None:
    model = Script([LOOP], spoken={"en": 0.05, "vi": 0.95})
    assert hear(model).guards == ("loop_retried", "loop_cut")
    assert model.encoded == [500]


@pytest.mark.parametrize(
    ("readings", "guards"),
    [
        ([INVENTED], ("noise",)),
        ([NOISY_LOOP], ("loop_retried", "loop_cut")),
        ([LOOP, INVENTED], ("loop_retried", "noise")),
    ],
)
def test_noise_says_nothing(readings: list[tuple[str, float, float]], guards: tuple[str, ...]) -> None:
    outcome = hear(Script(readings), words=True)
    assert outcome.transcript == Transcript("", "en")
    assert outcome.guards == guards


def test_a_text_that_is_hardly_likely_is_doubted() -> None:
    outcome = hear(Script([("he on", -1.2, 0.01)]))
    assert outcome.transcript is not None
    assert outcome.transcript.unclear


def test_a_doubtful_text_is_dropped_where_nobody_vouches_for_speech() -> None:
    for text, expected in ((GOOD, GOOD[0]), (("he on", -1.2, 0.01), "")):
        runner = WhisperRunner(TOKENS, Script([text]))
        (outcome,) = runner.run(Hear(Recognition(speech(), speech_certain=False)), lambda: False)
        assert outcome.transcript is not None
        assert outcome.transcript.text == expected


@pytest.mark.parametrize(
    "audio",
    [np.zeros(0, np.float32), speech(0.49), np.zeros(32_000, np.float32), np.full(32_000, 0.3, np.float32)],
    ids=["nothing", "half a word", "silence", "DC"],
)
def test_what_holds_no_sound_or_too_little_is_not_decoded(audio: Samples) -> None:
    model = Script([GOOD])
    assert hear(model, audio).transcript == Transcript("", "en")
    (told,) = WhisperRunner(TOKENS, model).run(Tell(audio, ("en", "vi")), lambda: False)
    assert told.guesses == ()
    assert model.encoded == []


def test_a_quiet_voice_is_sound() -> None:
    assert hear(Script([GOOD]), speech() * np.float32(0.003)).transcript != Transcript("", "en")


def test_samples_that_are_no_numbers_are_the_callers_fault() -> None:
    with pytest.raises(PeerError) as caught:
        hear(Script([GOOD]), np.full(16_000, np.nan, np.float32))
    assert caught.value.code is Code.INVALID_AUDIO


# hints


def test_names_are_told_in_a_sentence_said_before() -> None:
    model = Script([GOOD])
    hear(model, language="vi", hints=("Ojukwu", "Kowalczyk"))
    assert model.read[0][0] == TOKENS.prompt("vi", before=TOKENS.encode(" Chúng ta sẽ nói về Ojukwu và Kowalczyk."))


def test_a_retry_is_not_told_names() -> None:
    model = Script([LOOP, GOOD])
    hear(model, hints=("Ojukwu",))
    assert model.read[1][0] == TOKENS.prompt("en", times=True)


def test_ten_thousand_names_and_what_cannot_be_said_are_cut_short() -> None:
    model = Script([GOOD])
    hints = ("\x00", "<|endoftext|>", *(f"a{k}\x1b" * 12 for k in range(10_000)))
    hear(model, hints=hints)
    prompt = model.read[0][0]
    assert len(prompt) <= 155
    assert TOKENS.end not in prompt
    hear(model, hints=("\x00", " ", "..."))
    assert model.read[1][0] == TOKENS.prompt("en")


def test_names_that_come_back_on_noise_are_not_believed() -> None:
    model = Script([("We will talk about Bon, he", -0.3, 0.4), INVENTED])
    outcome = hear(model, hints=("Bon", "He"))
    assert outcome.transcript == Transcript("", "en")
    assert outcome.guards == ("echo", "noise")
    assert model.read[1][0] == TOKENS.prompt("en")


def test_a_name_that_is_said_is_read_again_only_over_what_may_be_noise() -> None:
    said = hear(Script([("Bon", -0.3, 0.4), ("bone", -0.4, 0.4)]), hints=("Bon",))
    assert said.transcript is not None
    assert (said.transcript.text, said.guards) == ("bone", ("echo",))
    assert hear(Script([("Bon", -0.3, 0.1)]), hints=("Bon",)).guards == ()


# language


def test_a_language_is_told_among_those_that_are_possible() -> None:
    model = Script([GOOD], spoken={"en": 0.6, "vi": 0.3, "tl": 0.1})
    runner = WhisperRunner(TOKENS, model)
    (outcome,) = runner.run(Tell(speech(), ("fil", "vi", "ti")), lambda: False)
    assert [guess.language for guess in outcome.guesses] == ["vi", "fil"]
    assert [guess.probability for guess in outcome.guesses] == pytest.approx([0.75, 0.25])
    assert outcome.transcript is None
    (outcome,) = runner.run(Tell(speech(), ("ti", "om")), lambda: False)
    assert outcome.guesses == ()


def test_telling_and_hearing_share_an_encoding() -> None:
    model = Script([GOOD])
    runner = WhisperRunner(TOKENS, model)
    audio = speech(4)
    for job in (Tell(audio, ("en", "vi")), Hear(Recognition(audio)), Tell(audio.copy(), ("en", "vi"))):
        assert len(list(runner.run(job, lambda: False))) == 1
    assert model.encoded == [700]


def test_long_audio_tells_its_language_in_six_seconds_unless_it_was_heard_already() -> None:
    model = Script([GOOD])
    runner = WhisperRunner(TOKENS, model)
    list(runner.run(Tell(speech(20), ("en", "vi")), lambda: False))
    assert model.encoded == [900]
    list(runner.run(Hear(Recognition(speech(20, seed=1))), lambda: False))
    list(runner.run(Tell(speech(20, seed=1), ("en", "vi")), lambda: False))
    assert model.encoded == [900, 2300]


def test_only_the_last_encodings_are_kept() -> None:
    model = Script([GOOD])
    runner = WhisperRunner(TOKENS, model)
    for seed in [*range(9), 8, 0]:
        list(runner.run(Tell(speech(seed=seed), ("en", "vi")), lambda: False))
    assert len(model.encoded) == 10


def test_two_threads_encode_the_same_audio_once() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(10)

    model = Script([GOOD], on_encode=wait)
    runner = WhisperRunner(TOKENS, model)
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda job=job: outcomes.extend(runner.run(job, lambda: False)))
        for job in (Tell(speech(), ("en", "vi")), Hear(Recognition(speech())))
    ]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(outcomes) == 2
    assert model.encoded == [500]


# leaving


def test_nothing_is_begun_for_a_caller_who_left() -> None:
    model = Script([GOOD])
    assert list(WhisperRunner(TOKENS, model).run(Hear(Recognition(speech())), lambda: True)) == []
    assert model.encoded == []


def test_a_caller_who_leaves_during_a_decode_gets_no_other() -> None:
    model = Script([LOOP])
    left = chain([False], repeat(True))
    assert list(WhisperRunner(TOKENS, model).run(Hear(Recognition(speech())), lambda: next(left))) == []
    assert len(model.read) == 1


def test_a_partial_that_loops_is_not_read_again_and_its_encoding_not_kept() -> None:
    model = Script([LOOP, GOOD, GOOD])
    runner = WhisperRunner(TOKENS, model)
    request = Recognition(speech(), "en", speech_certain=False)
    (partial,) = runner.run(Hear(request, partial=True), lambda: False)
    assert partial.guards == ("loop",)
    (whole,) = runner.run(Hear(request), lambda: False)
    assert whole.transcript is not None
    assert whole.transcript.text == GOOD[0]
    assert model.encoded == [500, 500]
