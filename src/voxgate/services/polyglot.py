"""Several recognizers as one: each utterance goes to the one that hears its language."""

from collections.abc import Mapping

from voxgate.domain import Recognition, Transcript
from voxgate.errors import MisuseError
from voxgate.ports import SpeechToText


class Polyglot:
    """Carries out `ports.SpeechToText` with the engines it is handed; closing those is their owner's business."""

    def __init__(self, by_language: Mapping[str, SpeechToText]) -> None:
        """`by_language`: BCP-47 tag -> the engine that hears it, at least one."""
        self._by_language = dict(by_language)
        self.languages: Mapping[str, str] = {tag: stt.languages[tag] for tag, stt in self._by_language.items()}
        self.max_seconds = min(stt.max_seconds for stt in self._by_language.values())

    async def recognize(self, request: Recognition) -> Transcript:
        """See the port. MisuseError for a language that none of the engines was named for."""
        stt = self._by_language.get(request.language)
        if stt is None:
            raise MisuseError(f"nobody was named to hear {request.language}")
        return await stt.recognize(request)
