"""What every recognizer must do."""

import asyncio
import math
from dataclasses import dataclass

import numpy as np

from voxgate.domain import SPEECH_RATE, Recognition, Samples, Transcript
from voxgate.errors import VoxgateError
from voxgate.ports import SpeechToText
from voxgate.testing.conformance import expect
from voxgate.testing.scripted import tone

QUALITIES = frozenset({"good", "fair", "weak"})


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something for a recognizer to hear."""

    audio: Samples
    """At SPEECH_RATE, shorter than the engine's `max_seconds`."""
    text: str = ""
    """What is said in it, in plain words; empty where nobody knows."""
    language: str = "en"


SAMPLE = Spoken(tone(4, word_ms=250, rate=SPEECH_RATE))
"""A tone: enough for the form of answers. For what they say, hand the checks recorded speech with its text."""


def expect_transcript(heard: Transcript, audio: Samples) -> None:
    """The form of a transcript of this audio."""
    expect(isinstance(heard, Transcript), f"recognize answered a {type(heard).__name__}, not a Transcript")
    expect(heard.text == heard.text.strip(), "the text begins or ends with white space")
    expect(
        heard.confidence is None or 0 <= heard.confidence <= 1, f"the confidence {heard.confidence} is no share of 1"
    )
    edge = 0
    for word in heard.words:
        expect(word.text.strip(), "a word is empty")
        expect(
            edge <= word.start <= word.end <= audio.size, f"the word {word} overlaps the one before or leaves the audio"
        )
        expect(word.confidence is None or 0 <= word.confidence <= 1, f"the word {word} has an impossible confidence")
        edge = word.start


async def check_attributes(engine: SpeechToText) -> None:
    """The engine says what it hears and for how long it listens."""
    expect(isinstance(engine, SpeechToText), "the engine lacks recognize, languages or max_seconds")
    expect(engine.languages, "the engine hears no language")
    for tag, quality in engine.languages.items():
        expect(quality in QUALITIES, f"{tag} is heard {quality!r}; it must be one of {sorted(QUALITIES)}")
    expect(engine.max_seconds > 0 and math.isfinite(engine.max_seconds), "max_seconds must be a positive number")


async def check_answer(engine: SpeechToText, sample: Spoken = SAMPLE) -> None:
    """An utterance becomes a transcript in the language asked for, without word times unless asked."""
    heard = await engine.recognize(Recognition(sample.audio, sample.language))
    expect_transcript(heard, sample.audio)
    expect(heard.language == sample.language, f"{sample.language} was asked for, {heard.language} came")
    expect(heard.words == (), "word times came that nobody asked for")
    if sample.text:
        said, text = plain_words(sample.text), plain_words(heard.text)
        expect(set(said) & set(text), f"of {sample.text!r} not one word was heard, but {heard.text!r}")


async def check_words(engine: SpeechToText, sample: Spoken = SAMPLE) -> None:
    """Word times lie in the audio, in order, and spell the text."""
    heard = await engine.recognize(Recognition(sample.audio, sample.language, words=True))
    expect_transcript(heard, sample.audio)
    expect(bool(heard.words) == bool(heard.text), "a text has words, and words have a text")
    spelled = "".join(word.text for word in heard.words)
    expect("".join(spelled.split()) == "".join(heard.text.split()), "the words do not spell the text")


async def check_silence(engine: SpeechToText) -> None:
    """Silence says nothing."""
    for seconds in (0.5, 2.0):
        audio = np.zeros(round(seconds * SPEECH_RATE), np.float32)
        heard = await engine.recognize(Recognition(audio, next(iter(engine.languages)), speech_certain=False))
        expect(heard.text == "", f"{seconds} s of silence said {heard.text!r}")


async def check_very_short_audio(engine: SpeechToText) -> None:
    """No audio, or a few samples of it, is an empty transcript or a typed error, never a crash."""
    language = next(iter(engine.languages))
    for samples in (0, 1, 160):
        try:
            heard = await engine.recognize(Recognition(np.zeros(samples, np.float32), language))
        except VoxgateError:
            continue
        expect(heard.text == "", f"{samples} samples of silence said {heard.text!r}")


async def check_hints(engine: SpeechToText, sample: Spoken = SAMPLE) -> None:
    """Hints may be anything a client sends; words that do not occur in the audio do not appear in the text."""
    hints = ("Xylanthia", "a b c d e", "東京", "-", "x" * 200)
    heard = await engine.recognize(Recognition(sample.audio, sample.language, hints=hints))
    expect_transcript(heard, sample.audio)
    expect("xylanthia" not in heard.text.lower(), "a hint was heard that nobody said")


async def check_audio_stays_the_callers(engine: SpeechToText, sample: Spoken = SAMPLE) -> None:
    """The audio may be read-only or a view of something larger, and is not changed."""
    wide = np.zeros((sample.audio.size, 2), np.float32)
    wide[:, 0] = sample.audio
    view = wide[:, 0]
    view.flags.writeable = False
    heard = await engine.recognize(Recognition(view, sample.language))
    plain = await engine.recognize(Recognition(sample.audio, sample.language))
    expect(np.array_equal(view, sample.audio), "the audio was changed")
    expect(heard.text == plain.text, "a view of the same audio was heard differently")


async def check_many_at_once(engine: SpeechToText, sample: Spoken = SAMPLE) -> None:
    """Utterances at the same time get each its own answer."""
    silence = Recognition(np.zeros(SPEECH_RATE, np.float32), sample.language, speech_certain=False)
    speech = Recognition(sample.audio, sample.language)
    alone = (await engine.recognize(speech)).text
    answers = await asyncio.gather(*(engine.recognize(request) for request in (speech, silence, speech, silence)))
    texts = [answer.text for answer in answers]
    expect(texts == [alone, "", alone, ""], f"four at once were heard as {texts}, alone it is {alone!r}")


async def check_leaving(engine: SpeechToText, sample: Spoken = SAMPLE) -> None:
    """A caller that leaves does not disturb the next one."""
    speech = Recognition(sample.audio, sample.language)
    alone = (await engine.recognize(speech)).text
    tasks = [asyncio.ensure_future(engine.recognize(speech)) for _ in range(4)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    expect((await engine.recognize(speech)).text == alone, "after callers left, the same audio was heard differently")


def plain_words(text: str) -> list[str]:
    """The words of a text without case and punctuation."""
    return "".join(char.lower() if char.isalnum() else " " for char in text).split()
