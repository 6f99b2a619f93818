"""What was said in a call, cut to what was heard: the messages a language model answers to, and the record. Pure.

A user's turn comes in with its transcript or as it was typed; backchannels and noise never come in. A reply stands in
the history while it is made, and stays with the words of it that were played.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from voxgate.conversation.script import Script
from voxgate.errors import MisuseError
from voxgate.languages import parse

Role = Literal["user", "assistant"]

CUT_MARK = " …"
"""Behind a reply that was interrupted, as the model sees it: it knows that not all was said, and a model that copies
the mark copies something that is not spoken."""
_GO_ON = (
    "[A noise cut you off; nobody interrupted you. Go on where you stopped. Do not repeat anything, do not mention it.]"
)
_ANSWER_IN = "Answer in {language}, whatever language the user speaks."


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """How much of a call a language model is told, beside its instructions. Oldest turns are left out first."""

    max_characters: int = 8000
    """About two thousand tokens of English, and a minute of reading for a model on a processor."""
    max_messages: int = 60


@dataclass(frozen=True, slots=True)
class Said:
    """One message."""

    role: Role
    text: str
    number: int
    """Of the turn or the reply, in turns.Standing."""
    interrupted: bool = False
    """Whether a reply was cut; its text is then what was heard of it."""
    typed: bool = False


class History:
    """The conversation of one call."""

    def __init__(self, instructions: str = "", settings: HistorySettings | None = None) -> None:
        """`instructions`: the system prompt; never left out."""
        self._instructions = instructions
        self._settings = settings or HistorySettings()
        self._said: list[Said] = []
        self._live: tuple[int, Script] | None = None
        self._cut: tuple[Script, int] | None = None

    @property
    def said(self) -> Sequence[Said]:
        """The messages that are remembered, oldest first; without the reply that is being made."""
        return tuple(self._said)

    def hear(self, text: str, *, turn: int, typed: bool = False) -> None:
        """A turn of the user (Act.KEEP_TURN, Act.KEEP_TYPED)."""
        self._said.append(Said("user", text, turn, typed=typed))
        self._forget()

    def answer(self, number: int, script: Script) -> None:
        """A reply begins, or a guessed one is released (Act.START_REPLY, Act.RELEASE_REPLY).

        Raises MisuseError while another lives.
        """
        if self._live is not None:
            raise MisuseError(f"reply {number} begins while reply {self._live[0]} lives")
        self._live = number, script

    def keep(self, number: int) -> None:
        """The reply was heard to its end (Act.KEEP_REPLY)."""
        script = self._end(number)
        self._cut = None
        if script.text.strip():
            self._said.append(Said("assistant", script.text.strip(), number))
            self._forget()

    def cut(self, number: int, heard: int) -> str:
        """The reply ends after so many samples were heard (Act.CUT_HISTORY, Act.FAIL_REPLY): what they said.

        A reply of which nothing was heard leaves no trace.
        """
        script = self._end(number)
        self._cut = script, heard
        spoken = script.heard(heard)
        if spoken:
            self._said.append(Said("assistant", spoken, number, interrupted=True))
            self._forget()
        return spoken

    def rest(self) -> str | None:
        """What was not heard of the reply that was cut last, to be said word for word.

        Empty where all of it was heard: there is nothing to go on with, and the bot asks again instead. None where its
        text was never complete, or no reply was cut: then the model is asked to go on.
        """
        if self._cut is None or not self._cut[0].whole:
            return None
        script, heard = self._cut
        return script.rest(heard)

    def messages(
        self, *, language: str | None = None, guess: str | None = None, go_on: bool = False
    ) -> list[dict[str, str]]:
        """The conversation in OpenAI's shape: instructions, then turns by turns, the newest that fit the settings.

        `language`: BCP-47 tag the answer is to be in, whatever is spoken. `guess`: what the user is about to have said.
        `go_on`: ask for the rest of the reply that was cut last.
        """
        entries = [*self._said, *([Said("user", guess, 0)] if guess else [])]
        if go_on:
            entries.append(Said("user", _GO_ON, 0))
        merged = _merged(_fitting(entries, self._settings))
        parts = [self._instructions, _ANSWER_IN.format(language=parse(language).name) if language else ""]
        system = "\n\n".join(part for part in parts if part)
        shown = [{"role": each.role, "content": each.text + CUT_MARK * each.interrupted} for each in merged]
        return [*([{"role": "system", "content": system}] if system else []), *shown]

    def _end(self, number: int) -> Script:
        if self._live is None or self._live[0] != number:
            raise MisuseError(f"reply {number} ends and does not live")
        script = self._live[1]
        self._live = None
        return script

    def _forget(self) -> None:
        """What no model will be told any more: the budget drops from the same end."""
        self._said = _fitting(self._said, self._settings)


def _fitting(said: Sequence[Said], settings: HistorySettings) -> list[Said]:
    """The newest whole turns within the budget; the last one whatever it holds. A turn begins where the user begins."""
    begins = [at for at, each in enumerate(said) if each.role == "user" and (at == 0 or said[at - 1].role != "user")]
    for at in [0, *begins[:-1]]:
        rest = said[at:]
        if len(rest) <= settings.max_messages and sum(len(each.text) for each in rest) <= settings.max_characters:
            return list(rest)
    return list(said[begins[-1] :]) if begins else list(said[-1:])


def _merged(said: Sequence[Said]) -> list[Said]:
    """Neighbours of one role as one message: many models' templates want the roles to alternate."""
    merged: list[Said] = []
    for each in said:
        if merged and merged[-1].role == each.role:
            merged[-1] = replace(each, text=f"{merged[-1].text} {each.text}")
        else:
            merged.append(each)
    return merged
