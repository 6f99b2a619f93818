"""Which language an utterance is taken for, where the client leaves that open. Pure.

Languages are told apart by utterances: one of at least two seconds says its own, a shorter one (at 1 s, 13 of 20
Vietnamese clips passed for English) takes that of the recording so far. Two sure ones of the same language in a row
lock it: from then on nothing is asked any more. The figures are Whisper's, of 80 clips, November 2026
(docs/decisions/0006-whisper-on-a-short-context.md): with 2 s of speech 81 to 89 of 100 are right, with 5 s 91 to 98.
"""

from collections.abc import Sequence

from voxgate.domain import SPEECH_RATE, Guess

ENOUGH = 2 * SPEECH_RATE
"""Samples of speech that can tell a language."""
SURE = 0.8
"""Probability above which a guess counts."""
_LOCKED_AFTER = 2
_ALIKE = (frozenset({"id", "ms"}),)  # Malay passes for Indonesian, surely


class Tongue:
    """The language of one recording, as far as it is known."""

    def __init__(self, among: Sequence[str], default: str) -> None:
        """`among`: BCP-47 tags that are possible; `default`: the one that is taken before anything is known."""
        self._among = tuple(among)
        self._taken = default
        self._sure = 0  # sure utterances in a row for `_taken`
        self._known = False

    @property
    def current(self) -> str:
        """What an utterance that does not tell is taken for."""
        return self._taken

    @property
    def known(self) -> bool:
        """Whether any utterance was sure so far."""
        return self._known

    @property
    def locked(self) -> bool:
        """Whether the language is settled for the rest of the recording."""
        return self._sure >= _LOCKED_AFTER or len(self._among) < 2

    def asks(self, speech: int) -> bool:
        """Whether the language of an utterance with so many samples of speech is to be guessed."""
        return not self.locked and speech >= ENOUGH

    def take(self, guesses: Sequence[Guess]) -> str:
        """The language of the utterance these guesses (best first) are about.

        A sure one counts. An unsure one is believed only while nothing better is known; it locks nothing.
        """
        fitting = [guess for guess in guesses if guess.language in self._among]
        if not fitting:
            return self._taken
        best = fitting[0]
        if best.probability <= SURE:
            self._sure = 0
            return self._taken if self._known else best.language
        self._sure = self._sure + 1 if self._known and best.language == self._taken else 1
        self._known = True
        self._taken = best.language
        return best.language


def contradiction(given: str, guesses: Sequence[Guess]) -> Guess | None:
    """The guess (the first, sure one) that says the audio is not in the language it was said to be in, if it does.

    Variants of one language do not contradict each other, nor do Malay and Indonesian.
    """
    if not guesses or guesses[0].probability <= SURE:
        return None
    best = guesses[0]
    heard, said = best.language.split("-")[0], given.split("-")[0]
    if heard == said or any({heard, said} <= alike for alike in _ALIKE):
        return None
    return best
