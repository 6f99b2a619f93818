"""Whether a language that the client named is the one that is spoken: told once, never acted upon."""

from voxgate.audio.loudness import raise_quiet
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.tongues import ENOUGH, contradiction
from voxgate.domain import Guess, Samples, Transcript
from voxgate.errors import EngineError, RefusedError
from voxgate.ports import LanguageIdentifier


class Doubt:
    """What is known about it, over one recording or session."""

    def __init__(
        self, request: TranscriptionRequest, identifier: LanguageIdentifier | None, *, tells_itself: bool
    ) -> None:
        """`tells_itself`: the identifier is the recognizer, so that asking costs little.

        That is 20 ms, on the encoding Whisper has just made.
        """
        self._request = request
        self._identifier = identifier
        self._tells_itself = tells_itself
        self._confirmed = False
        self.mismatch: Guess | None = None
        """The language that is spoken instead of the one that was given, once that is sure."""

    def is_due(self, heard: Transcript, speech: int) -> bool:
        """Whether this utterance, with so many samples of speech, is to be weighed: that costs little, or is needed."""
        settled = self._confirmed or self.mismatch is not None or not self._request.given
        doubtful = heard.unclear or not heard.text or self._tells_itself
        return self._identifier is not None and not settled and doubtful and speech >= ENOUGH

    async def weigh(self, heard: Transcript, audio: Samples, speech: int) -> Guess | None:
        """The contradiction, if this utterance is the first to bring one.

        Where nobody can be asked now, the text stands without a warning, which the next utterance may bring.
        """
        if self._identifier is None or not self.is_due(heard, speech):
            return None
        try:
            guesses = await self._identifier.identify(raise_quiet(audio), self._request.among)
        except (EngineError, RefusedError):
            return None
        if self.mismatch is not None:
            return None  # another utterance was weighed meanwhile
        self.mismatch = contradiction(self._request.language, guesses)
        self._confirmed = bool(guesses) and guesses[0].language == self._request.language
        return self.mismatch
