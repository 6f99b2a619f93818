"""A transcript in the shapes of OpenAI's `response_format`, with the fields Voxgate adds."""

import math
from dataclasses import asdict
from typing import Any, Literal

from voxgate.domain import SPEECH_RATE, FileSegment, FileTranscript
from voxgate.languages import parse
from voxgate.text.subtitles import Timed, cues, place, srt, vtt


def render(
    transcript: FileTranscript, shape: Literal["json", "text", "verbose_json", "srt", "vtt"], *, words: bool
) -> str | dict[str, Any]:
    """The body of the answer: a string for `text`, `srt` and `vtt`, JSON otherwise."""
    if shape == "text":
        return f"{transcript.text}\n"
    if shape in ("srt", "vtt"):
        found = cues(word for segment in transcript.segments for word in _placed(segment))
        return srt(found) if shape == "srt" else vtt(found)
    usage = _usage(transcript)
    if shape == "json":
        return {"text": transcript.text, "language": transcript.language, "usage": usage, **_warnings(transcript)}
    languages = dict.fromkeys(segment.language for segment in transcript.segments) or [transcript.language]
    verbose: dict[str, Any] = {
        "task": "transcribe",
        "language": parse(transcript.language).name.lower(),
        "duration": _seconds(transcript.duration),
        "text": transcript.text,
        "raw_transcript": transcript.raw,
        "corrections": [asdict(correction) for correction in transcript.corrections],
        "detected_languages": list(languages),
        "segments": [_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "usage": usage,
        **_warnings(transcript),
    }
    if words:
        verbose["words"] = [
            {
                "word": word.text,
                "start": _seconds(word.start),
                "end": _seconds(word.end),
                "confidence": None if word.confidence is None else round(word.confidence, 3),
            }
            for segment in transcript.segments
            for word in segment.words
        ]
    return verbose


def delta(segment: FileSegment, *, first: bool) -> dict[str, Any]:
    """OpenAI's event for the next piece of a transcript; all pieces joined are its text."""
    return {"type": "transcript.text.delta", "delta": segment.text if first else segment.glue + segment.text}


def done(transcript: FileTranscript) -> dict[str, Any]:
    """OpenAI's last event of a transcript."""
    return {
        "type": "transcript.text.done",
        "text": transcript.text,
        "language": transcript.language,
        "usage": _usage(transcript),
        **_warnings(transcript),
    }


def _warnings(transcript: FileTranscript) -> dict[str, Any]:
    """`warnings`, where there is anything to warn of."""
    if (other := transcript.mismatch) is None:
        return {}
    told = {"code": "LANGUAGE_MISMATCH", "detected": other.language, "confidence": round(other.probability, 3)}
    return {"warnings": [told]}


def _usage(transcript: FileTranscript) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(transcript.duration / SPEECH_RATE)}


def _placed(segment: FileSegment) -> list[Timed]:
    words = [Timed(word.text, word.start / SPEECH_RATE, word.end / SPEECH_RATE) for word in segment.words]
    return place(segment.text, words, segment.start / SPEECH_RATE, segment.end / SPEECH_RATE)


def _segment(number: int, segment: FileSegment) -> dict[str, Any]:
    """One segment. Fields of OpenAI's that only Whisper has a meaning for hold their neutral values."""
    sure = segment.confidence if segment.confidence is not None else 1.0
    return {
        "id": number,
        "seek": 0,
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(math.log(max(sure, 1e-6)), 4),
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
        "unclear": segment.unclear,
    }


def _seconds(samples: int) -> float:
    return round(samples / SPEECH_RATE, 3)
