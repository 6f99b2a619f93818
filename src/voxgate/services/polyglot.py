"""Several recognizers as one: each utterance goes to the one that hears its language."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from voxgate.domain import LiveRecognition, Partial, Recognition, Transcript
from voxgate.errors import MisuseError
from voxgate.ports import LiveUtterance, Recognizer


class Polyglot:
    """Carries out `ports.Recognizer` with the engines it is handed; closing those is their owner's business."""

    def __init__(self, by_language: Mapping[str, Recognizer]) -> None:
        """`by_language`: BCP-47 tag -> the engine that hears it, at least one."""
        self._by_language = dict(by_language)
        self.languages: Mapping[str, str] = {tag: stt.languages[tag] for tag, stt in self._by_language.items()}
        self.max_seconds = min(stt.max_seconds for stt in self._by_language.values())

    async def recognize(self, request: Recognition) -> Transcript:
        """See the port. MisuseError for a language that none of the engines was named for."""
        return await self._hears(request.language).recognize(request)

    def open(
        self, request: LiveRecognition, told: Callable[[Partial], None]
    ) -> AbstractAsyncContextManager[LiveUtterance]:
        """See the port. MisuseError for a language that none of the engines was named for."""
        return self._hears(request.language).open(request, told)

    def _hears(self, language: str) -> Recognizer:
        stt = self._by_language.get(language)
        if stt is None:
            raise MisuseError(f"nobody was named to hear {language}")
        return stt
