import asyncio
from collections.abc import Sequence

import pytest

from tests.conversation.talks import Mind, Mouth
from tests.virtual import run
from voxgate.conversation.playout import Playout, PlayoutSettings
from voxgate.conversation.reply import Reply, Saying, Thinking, Voicing
from voxgate.conversation.speculation import Load
from voxgate.conversation.turn_table import Purpose
from voxgate.errors import EngineError, VoxgateError

RATE = 24_000


class Shouts:
    """`ports.Translator`."""

    async def translate(self, text: str, language: str) -> str:
        await asyncio.sleep(0.01)
        return f"{text.upper()}[{language}]"


class Making:
    """A reply, and what was told of it."""

    def __init__(self, saying: Saying, *, translator: Shouts | None = None, most_tokens: int = 512) -> None:
        self.mind, self.mouth = Mind(), Mouth()
        mouth: object = self.mouth
        self.texts: list[str] = []
        self.whole = 0
        self.errors: list[VoxgateError] = []
        self.load = Load(2)
        self.busiest = 0
        self.reply = Reply(
            1,
            Purpose.ANSWER,
            saying,
            thinking=Thinking(self.mind, most_tokens=most_tokens, translator=translator),
            voicing=Voicing(mouth, "tone", "en"),  # type: ignore[arg-type]
            playout=Playout(PlayoutSettings(), RATE),
            rate=RATE,
            timers=asyncio.get_running_loop(),
            load=self.load,
            told=self,
        )

    def wrote(self, reply: Reply, text: str) -> None:
        self.texts.append(text)
        self.busiest = max(self.busiest, self.load.making)

    def written(self, reply: Reply) -> None:
        self.whole += 1

    def voiced(self, reply: Reply) -> None:
        """Nothing is played."""

    def failed(self, reply: Reply, error: VoxgateError) -> None:
        self.errors.append(error)

    async def play(self) -> int:
        """Make it, and take its audio as it comes: how many samples."""
        making = asyncio.create_task(self.reply.make())
        now = 0
        while not making.done() or not self.reply.playout.played_out(now):
            await asyncio.sleep(0.01)
            now += RATE // 100
            while self.reply.playout.due(now) is not None:
                self.reply.sent()
            if self.errors:
                break
        await making
        return self.reply.playout.sent


def made(saying: Saying, **settings: object) -> tuple[Making, int]:
    async def make() -> tuple[Making, int]:
        making = Making(saying, **settings)  # type: ignore[arg-type]
        return making, await making.play()

    return run(make())


QUESTION = Saying(messages=[{"role": "user", "content": "Hello?"}])


def test_clauses_are_spoken_one_after_the_other_with_a_rest_between_them() -> None:
    making, samples = made(QUESTION)
    assert making.mouth.said == ["This is the scripted answer.", "It is always the same."]
    assert samples == pytest.approx(RATE * (10 * 0.25 + 0.26), abs=2)
    assert "".join(making.texts) == making.reply.script.text
    assert (making.whole, making.errors) == (1, [])
    assert (making.busiest, making.load.making) == (1, 0)


def test_what_is_said_word_for_word_asks_no_model() -> None:
    making, samples = made(Saying("Dr. Lee owes $5."))
    assert making.mind.asked == []
    assert making.mouth.said == ["Doctor Lee owes five dollars."]
    assert making.texts == ["Dr. Lee owes $5."]
    assert samples


def test_no_more_is_made_than_is_about_to_be_played() -> None:
    async def check() -> None:
        making = Making(Saying(" ".join(f"Sentence number {number} is here." for number in range(20))))
        task = asyncio.create_task(making.reply.make())
        await asyncio.sleep(60)
        assert len(making.mouth.said) <= 2
        making.reply.task = task
        making.reply.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert making.mouth.open_now == 0

    run(check())


def test_a_reply_begins_with_its_first_letter() -> None:
    async def check() -> Sequence[str]:
        making = Making(QUESTION)
        making.mind.answers = ["\n\n Hello."]
        await making.play()
        return making.texts

    assert "".join(run(check())) == "Hello."


def test_what_nobody_can_say_is_written_only() -> None:
    making, samples = made(Saying("... !"))
    assert making.mouth.said == []
    assert (samples, making.whole) == (0, 1)


def test_a_model_that_cannot_be_told_the_language_is_translated() -> None:
    making, _ = made(QUESTION, translator=Shouts())
    assert making.reply.script.text == "THIS IS THE SCRIPTED ANSWER.[en] IT IS ALWAYS THE SAME.[en]"
    assert making.whole == 1


@pytest.mark.parametrize("what", ["mind", "silent mind", "mouth"])
def test_what_fails_is_told_once_and_everything_stops(what: str) -> None:
    async def check() -> None:
        making = Making(QUESTION)
        broken = EngineError("as wanted", engine=what)
        if what == "mouth":
            making.mouth.failing = [broken]
        else:
            making.mind.answers = [broken if what == "mind" else "  "]
        await making.play()
        assert len(making.errors) == 1
        assert making.mind.open_now == making.mouth.open_now == making.load.making == 0

    run(check())
