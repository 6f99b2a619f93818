"""The voice agent in Chromium, by the published class and the page of the server: a person talks and interrupts.

Of the class, only what it names itself is changed: its address, the key it is made with, the voice and the language.
"""

import json
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, absent
from tests.e2e.live import clip, silence, wav
from tests.e2e.nodejs import HERE, in_chromium
from tests.e2e.real import start, stop
from tests.e2e.upstream import upstream
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

CLASS = HERE / "published" / "agent.js"
PAGE = "004_7ba6982fe37978f4.txt"
ADDRESS = "wss://api.selamgpt.com"

LONG = (
    "That is a story worth telling from its beginning. There was an old house at the end of a very long road, and "
    "nobody had lived in it for many years. One winter a family came, and they lit every lamp they could find."
)
SHORT = "Thank you, that is good to know."
TURNS = (
    ("sense_0880", "he was not an ill disposed young man", LONG),
    ("ls_6930", "concord returned to its place amidst the tents", SHORT),
    ("card_005", "eight of spades four of clubs seven of hearts", LONG),
    ("lj_0013", "than in the same operations with ugly ones", SHORT),
    ("sense_0890", "unless to be rather cold hearted and rather selfish is to be ill disposed", SHORT),
)
"""Recording, what it says, what is answered. Long answers are interrupted by the next turn."""
SEAM_MS = 60
TRIES = 2
"""A machine that was busy for a moment tells of one sound's end too late; a player that is wrong is wrong again."""
INTO_THE_ANSWER_S, AFTER_THE_ANSWER_S = 3.5, 6.0
"""From the end of a turn to the next one: an answer begins after about one second, and a short one lasts two."""


def answer(messages: list[dict[str, Any]]) -> str:
    """By what was said last; recognizers differ in a word."""
    said = messages[-1]["content"]
    wrong = [errors(text, said)[0] / errors(text, said)[1] for _, text, _ in TURNS]
    return TURNS[wrong.index(min(wrong))][2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The default models, but for the language model."""
    with upstream(answer) as environment:
        running = start(tmp_path_factory.mktemp("agent"), "", environment)
        yield running
        stop(running)


def conversation(folder: Path, turns: int = len(TURNS)) -> tuple[Path, float]:
    """The first turns as one recording, and its length in seconds."""
    if not (SHARED / "audio" / "transcripts.tsv").exists():
        absent("shared", "shared/audio")
    audio = silence(0.6)
    for name, _, answered in TURNS[:turns]:
        audio += clip(SHARED / "audio" / f"{name}.wav")
        audio += silence(INTO_THE_ANSWER_S if answered is LONG else AFTER_THE_ANSWER_S)
    file = folder / "person.wav"
    file.write_bytes(wav(audio))
    return file, len(audio) / 32_000


def run(
    server: Server, folder: Path, *, voice: str = "", language: str = "", hears: Path | None, seconds: float
) -> Any:
    text = CLASS.read_text()
    assert text.count(ADDRESS) == 1
    text = text.replace(ADDRESS, server.url.replace("http", "ws"))
    if voice:
        text, voices = re.subn(r"voice: 'mekdes'", f"voice: '{voice}'", text)
        text, languages = re.subn(r"language: 'am'", f"language: '{language}'", text)
        assert (voices, languages) == (1, 1)
    copy = folder / CLASS.name
    copy.write_text(text)
    arguments = [str(copy), server.key, voice, str(hears or ""), str(seconds)]
    return json.loads(in_chromium("published-agent.mjs", folder, *arguments, timeout_s=seconds + 60))


def of(told: Any, name: str) -> list[dict[str, Any]]:
    return [event for event in told["events"] if event["name"] == name]


def test_the_class_is_as_published() -> None:
    page = SHARED / "reference" / PAGE
    if not page.exists():
        absent("shared", "shared/reference")
    lines = [re.sub(r"^\d+", "", line) for line in page.read_text().splitlines()]  # the page numbers its lines
    assert "".join(CLASS.read_text().split()) in "".join("".join(lines).split())


def test_a_conversation_of_five_turns_with_two_interruptions(server: Server, tmp_path: Path) -> None:
    recording, seconds = conversation(tmp_path)
    for _ in range(TRIES):
        told = run(server, tmp_path, voice="valsea-neutral", language="en", hears=recording, seconds=seconds + 1)
        (tmp_path / "told.json").write_text(json.dumps(told, indent=1))
        check_what_was_said(told)
        seams = {reply["response_id"]: seams_of(told, reply["response_id"]) for reply in of(told, "response")}
        answered = [event["total_ms"] for event in of(told, "latency")]
        print("answered after", answered, "seams", seams)
        if all(abs(seam) <= SEAM_MS for seams_ in seams.values() for seam in seams_):
            return
    raise AssertionError(f"gaps (+) or overlaps (-) between the sounds of a reply, in ms: {seams}")


def check_what_was_said(told: Any) -> None:
    assert told["console"] == []
    assert of(told, "error") == []

    finals = [event["text"] for event in of(told, "transcription") if event["is_final"]]
    assert len(finals) == len(TURNS), finals
    for (_, text, _), final in zip(TURNS, finals, strict=True):
        wrong, words = errors(text, final)
        assert wrong <= 0.25 * words, (text, final)

    replies = of(told, "response")
    assert [reply["text"].split() for reply in replies] == [answered.split() for *_, answered in TURNS]
    cut = of(told, "interrupted")
    assert [event["response_id"] for event in cut] == [replies[0]["response_id"], replies[2]["response_id"]]
    for event in cut:
        assert 2 <= len(event["spoken_text"].split()) < len(LONG.split()) - 5
        assert LONG.startswith(event["spoken_text"].strip())


def seams_of(told: Any, reply: str) -> list[float]:
    """From the end of each sound of a reply to the beginning of the next one, in ms; negative where they overlap."""
    chunks = of(told, "audio_chunk")
    assert len(chunks) == len(told["sounds"])  # the class makes one element of each chunk
    sounds = [s for s, chunk in zip(told["sounds"], chunks, strict=True) if chunk["response_id"] == reply]
    assert len(sounds) >= 2
    [end] = [event for event in of(told, "audio_end") if event["response_id"] == reply]
    assert end["total_chunks"] == len(sounds)
    return [round(after["play"] - before["ended"], 1) for before, after in pairwise(sounds)]


def test_the_class_unchanged_is_told_which_engine_is_missing(server: Server, tmp_path: Path) -> None:
    told = run(server, tmp_path, hears=None, seconds=0)
    names = [event["name"] for event in told["events"]]
    assert names == ["connected", "error"]
    [error] = of(told, "error")
    assert error["type"] == "validation_error"
    assert error["code"] == "unsupported_language"
    assert "A speech-to-text engine for Amharic is missing" in error["message"]
    assert "`pip install`" in error["message"]
    assert len(told["console"]) == 1  # its own handler of errors


def test_a_newcomer_talks_interrupts_and_writes_on_the_page(server: Server, tmp_path: Path) -> None:
    recording, _ = conversation(tmp_path, 2)
    typed = TURNS[4][1]
    arguments = [f"{server.url}/", server.key, str(recording), "2", typed]
    if pictures := os.environ.get("VOXGATE_PICTURES"):
        arguments.append(pictures)
    told = json.loads(in_chromium("talk-page.mjs", tmp_path, *arguments, timeout_s=90))
    assert told["complaints"] == []
    assert told["trouble"] == "×"
    lines = told["lines"]
    assert [line["who"] for line in lines] == ["user", "bot"] * 3
    for line, text in zip(lines[::2], (TURNS[0][1], TURNS[1][1], typed), strict=True):
        wrong, words = errors(text, line["text"])
        assert wrong <= 0.25 * words, (text, line["text"])
    cut, second, third = lines[1::2]
    assert LONG.startswith(cut["text"].strip())
    assert cut["unsaid"]
    assert [line["text"].split() for line in (second, third)] == [SHORT.split()] * 2
    for line in (cut, second, third):
        assert re.fullmatch(r"answered after \d+\.\d\d s", line["latency"])
        assert line["stages"]
    for line in (second, third):
        assert line["played_ms"] > 1000
        assert line["stalled_ms"] <= 60
    assert told["states"][-1] == "off"
    assert {"connecting", "listening", "hearing", "thinking", "speaking"} <= set(told["states"])
    assert len(told["sockets"]) == 1
    assert (
        server.key not in told["sockets"][0]
    )  # the page shows the server a short-lived secret, and not in the address
    assert told["wide"] == 375  # nothing is cut off on a telephone


def test_the_page_tells_of_a_wrong_key(server: Server, tmp_path: Path) -> None:
    told = json.loads(in_chromium("talk-page.mjs", tmp_path, f"{server.url}/", "vg_" + "x" * 43, timeout_s=60))
    assert "this API key is not valid" in told["trouble"]
    assert told["sockets"] == []
