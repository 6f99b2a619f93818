from dataclasses import replace

import pytest

from voxgate.domain import SPEECH_RATE, Correction, FileSegment, FileTranscript, Guess, Word
from voxgate.protocols.rest.transcripts import delta, done, render

SECOND = SPEECH_RATE


def segment(
    start_s: float, end_s: float, text: str, language: str = "en", confidence: float | None = 0.5
) -> FileSegment:
    start, end = round(start_s * SECOND), round(end_s * SECOND)
    parts = text.split()
    edges = [start + (end - start) * i // len(parts) for i in range(len(parts) + 1)]
    words = tuple(Word(part, edges[i], edges[i + 1], 0.87654) for i, part in enumerate(parts))
    return FileSegment(start, end, text, language, words, confidence, False, raw=text)


FIRST = segment(0.5, 1.5, "Hello there.")
SECOND_ONE = segment(2, 4, "How are you?", confidence=None)
SPOKEN = FileTranscript(
    "Hello there. How are you?",
    (FIRST, SECOND_ONE),
    "en",
    round(4.2 * SECOND),
    raw="um hello there. How are you?",
    corrections=(Correction("um hello", "Hello", 0, 8, "filler"),),
)
NOTHING = FileTranscript("", (), "en", SECOND)


def test_json_and_text() -> None:
    assert render(SPOKEN, "text", words=False) == "Hello there. How are you?\n"
    assert render(SPOKEN, "json", words=True) == {
        "text": "Hello there. How are you?",
        "language": "en",
        "usage": {"type": "duration", "seconds": 5},
    }


def test_verbose_json_tells_everything() -> None:
    told = render(SPOKEN, "verbose_json", words=False)
    assert isinstance(told, dict)
    assert {key: told[key] for key in ("task", "language", "duration", "text", "raw_transcript")} == {
        "task": "transcribe",
        "language": "english",
        "duration": 4.2,
        "text": "Hello there. How are you?",
        "raw_transcript": "um hello there. How are you?",
    }
    assert told["detected_languages"] == ["en"]
    assert told["corrections"] == [
        {"original": "um hello", "corrected": "Hello", "start": 0, "end": 8, "type": "filler"}
    ]
    first, second = told["segments"]
    assert (first["id"], first["start"], first["end"], first["text"]) == (0, 0.5, 1.5, "Hello there.")
    assert (first["avg_logprob"], second["avg_logprob"]) == (-0.6931, 0.0)
    assert set(first) >= {"seek", "tokens", "temperature", "compression_ratio", "no_speech_prob"}
    assert "words" not in told


def test_words_have_their_times() -> None:
    told = render(SPOKEN, "verbose_json", words=True)
    assert isinstance(told, dict)
    assert [word["word"] for word in told["words"]] == ["Hello", "there.", "How", "are", "you?"]
    assert told["words"][0] == {"word": "Hello", "start": 0.5, "end": 1.0, "confidence": 0.877}


def test_a_confidence_that_is_none_or_nothing_is_a_number_or_null() -> None:
    unsure = replace(FIRST, confidence=0.0, words=(Word("Hello", 0, 1, None),))
    told = render(replace(SPOKEN, segments=(unsure,)), "verbose_json", words=True)
    assert isinstance(told, dict)
    assert told["segments"][0]["avg_logprob"] == pytest.approx(-13.8155)
    assert told["words"][0]["confidence"] is None


def test_subtitles() -> None:
    srt = render(SPOKEN, "srt", words=False)
    assert isinstance(srt, str)
    assert "00:00:00,500 --> 00:00:01,500" in srt
    assert "How are you?" in srt
    vtt = render(SPOKEN, "vtt", words=False)
    assert isinstance(vtt, str)
    assert vtt.startswith("WEBVTT\n")
    assert "00:00:02.000 --> 00:00:04.000" in vtt


def test_silence_in_every_shape() -> None:
    assert render(NOTHING, "text", words=False) == "\n"
    assert render(NOTHING, "srt", words=False) == ""
    told = render(NOTHING, "verbose_json", words=True)
    assert isinstance(told, dict)
    assert (told["text"], told["segments"], told["words"], told["detected_languages"]) == ("", [], [], ["en"])
    assert told["usage"]["seconds"] == 1


def test_languages_are_listed_once_each_in_order() -> None:
    mixed = replace(SPOKEN, segments=(FIRST, segment(2, 3, "xin chào", "vi"), segment(3, 4, "bye")))
    told = render(mixed, "verbose_json", words=False)
    assert isinstance(told, dict)
    assert told["detected_languages"] == ["en", "vi"]


def test_another_language_than_the_named_one_is_warned_of() -> None:
    other = replace(SPOKEN, mismatch=Guess("vi", 0.98765))
    warning = {"code": "LANGUAGE_MISMATCH", "detected": "vi", "confidence": 0.988}
    for told in (render(other, "json", words=False), render(other, "verbose_json", words=False), done(other)):
        assert isinstance(told, dict)
        assert told["warnings"] == [warning]


def test_the_deltas_joined_are_the_text() -> None:
    deltas = [delta(part, first=index == 0) for index, part in enumerate(SPOKEN.segments)]
    assert {each["type"] for each in deltas} == {"transcript.text.delta"}
    assert "".join(each["delta"] for each in deltas) == done(SPOKEN)["text"] == SPOKEN.text
    assert done(SPOKEN)["type"] == "transcript.text.done"


def test_languages_without_spaces_are_joined_without() -> None:
    assert delta(segment(0, 1, "你好", "zh"), first=False)["delta"] == "你好"
