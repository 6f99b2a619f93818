import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.audio_samples import wav
from tests.cli.conftest import Voxgate
from tests.serving import Server
from voxgate.cli.transcribe_live import Heard, _lateness
from voxgate.domain import Correction, Guess, Word

SCRIPT = "This is what the script says."
WIRE = {"segmentId": "seg_1", "isFinal": True, "type": "transcript.final"}


def final(text: str, raw: str, start_ms: int, end_ms: int, language: str = "en", **more: Any) -> dict[str, Any]:
    made = {"text": text, "raw_text": raw, "startMs": start_ms, "timestampMs": end_ms, "language": language}
    return WIRE | made | {"corrections": []} | more


async def test_finals_are_put_together_as_a_transcript() -> None:
    heard = Heard(sent=[(16_000, 0.0)])
    change = {"original": "um ", "corrected": "", "start": 0, "end": 3, "type": "filler"}
    word = {"word": "one", "startMs": 100, "endMs": 300, "confidence": 0.5}
    heard.told(final("one", "um one", 0, 500, corrections=[change], words=[word]))
    heard.told(final("", "", 500, 600))
    heard.told(final("hai", "hai", 600, 900, "vi"))
    heard.told({"type": "warning", "detected": "vi", "confidence": 0.9})
    heard.told({"type": "session.closed", "durationMs": 1000, "creditsUsed": 1})
    told = heard.transcript()
    assert (told.text, told.raw, told.language, told.duration) == ("one hai", "um one hai", "en", 16_000)
    assert told.corrections == (Correction("um ", "", 0, 3, "filler"),)
    assert told.mismatch == Guess("vi", 0.9)
    assert [(each.start, each.end) for each in told.segments] == [(0, 8_000), (9_600, 14_400)]
    assert told.segments[0].words == (Word("one", 1_600, 4_800, 0.5),)


async def test_a_final_is_late_by_what_passed_since_its_end_was_spoken() -> None:
    import asyncio

    now = asyncio.get_running_loop().time()
    heard = Heard(sent=[(1_600, now - 0.3), (3_200, now - 0.2), (4_800, now - 0.1)])
    heard.told(final("one", "one", 0, 150))  # 50 ms before the end of the second piece
    heard.told(final("two", "two", 150, 400))  # nothing so late was sent: as the last piece
    passed = asyncio.get_running_loop().time() - now
    assert 0.25 <= heard.waits_s[0] <= 0.25 + passed + 1e-6
    assert 0.0 <= heard.waits_s[1] <= passed + 1e-6


@pytest.mark.parametrize(
    ("waits_s", "told"),
    [([0.25], "250 ms (p50) and 250 ms (p95)"), ([n / 100 for n in range(1, 101)], "500 ms (p50) and 950 ms (p95)")],
)
def test_lateness_in_words(waits_s: list[float], told: str) -> None:
    assert told in _lateness(waits_s)
    assert f"{len(waits_s)} of them" in _lateness(waits_s)


# asking a server


@pytest.fixture
def calls(served: Server, here: Path) -> Path:
    """Two recordings with what they say, and one that cannot be read."""
    (here / "calls").mkdir()
    for name in ("one", "two"):
        (here / "calls" / f"{name}.wav").write_bytes(wav(1.0))
    (here / "calls" / "one.txt").write_text("This is what the script says today")
    (here / "calls" / "two.txt").write_text(SCRIPT)
    return here / "calls"


@pytest.mark.slow
def test_a_folder_at_once_with_its_error_rate(voxgate: Voxgate, calls: Path) -> None:
    began = time.monotonic()
    heard = voxgate("transcribe", "--live", "--jobs", "2", "calls")
    took_s = time.monotonic() - began
    assert heard.exit_code == 0
    assert heard.stdout.splitlines() == [f"calls/one.wav\tWER 0.143\t{SCRIPT}", f"calls/two.wav\tWER 0.000\t{SCRIPT}"]
    assert took_s >= 1.0
    lateness, rate = heard.stderr.splitlines()
    assert lateness.startswith("final texts came ")
    assert rate == "WER 0.077: 1 of 13 words"


@pytest.mark.slow
def test_fast_and_in_every_shape(voxgate: Voxgate, calls: Path, here: Path) -> None:
    heard = voxgate("transcribe", "--live", "--fast", "calls/one.wav", "--format", "json", "--words")
    told = json.loads(heard.stdout)
    assert (told["text"], told["language"], told["duration"]) == (SCRIPT, "english", 1.0)
    assert [word["word"] for word in told["words"]] == SCRIPT.split()
    assert "final texts" not in heard.stderr, "what is sent at once is late by nothing"
    voxgate("transcribe", "--live", "--fast", "calls", "--format", "srt", "-o", "out")
    assert (here / "out" / "two.srt").read_text().startswith("1\n00:00:00,")


@pytest.mark.slow
def test_one_bad_file_does_not_stop_the_others(voxgate: Voxgate, calls: Path) -> None:
    (calls / "broken.mp3").write_bytes(b"no sound in here")
    heard = voxgate("transcribe", "--live", "--fast", "--jobs", "3", "calls")
    assert heard.exit_code == 1
    assert len(heard.stdout.splitlines()) == 2
    assert "calls/broken.mp3: The file is not audio" in heard.stderr
    assert heard.stderr.endswith("voxgate: 1 of 3 files could not be read\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("nowhere.wav",), 2, "there is no recording at nowhere.wav"),
        (("calls", "--language", "thai"), 2, "no configured engine hears Thai"),
        (("calls", "--config", "voxgate.toml"), 2, "--config goes without --live"),
        (("calls", "--jobs", "0"), 2, "greater than or equal to 1"),
        (("calls", "--key", "vg_wrong"), 1, "this API key is not valid"),
    ],
)
def test_what_cannot_be_transcribed(
    voxgate: Voxgate, calls: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    failed = voxgate("transcribe", "--live", *arguments)
    assert (failed.exit_code, failed.stdout) == (status, "")
    assert told in failed.stderr
