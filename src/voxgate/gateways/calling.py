"""Calls over any wire: from what a caller asks for to a conversation that can begin."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from voxgate.calls import CallRequest
from voxgate.conversation.conversation import Conversation
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.parts import Parts
from voxgate.conversation.reply import Thinking, Voicing
from voxgate.conversation.speculation import Load
from voxgate.conversation.translating import LlmTranslator
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.ports import CallObserver, Metrics, Translator, TurnDetector, Vad
from voxgate.services.casting import ANSWERS, cast
from voxgate.services.switchboard import Switchboard


class Calls:
    """The conversations of one process."""

    def __init__(
        self,
        settings: TurnSettings,
        *,
        switchboard: Callable[[], Switchboard],
        vad: Callable[[], Vad],
        turn: Callable[[], TurnDetector | None],
        cores: int,
        metrics: Metrics,
        observers: Sequence[CallObserver] = (),
    ) -> None:
        """`switchboard`, `vad`, `turn` answer what is running at the moment."""
        self._settings = settings
        self._switchboard, self._vad, self._turn = switchboard, vad, turn
        self._load = Load(cores)
        self._metrics, self._observers = metrics, tuple(observers)

    def converse(self, request: CallRequest, voice: str, model: str = ANSWERS) -> Conversation:
        """A conversation with `voice`, a voice name of clients; to be run on the event loop that asks.

        `request.language`: in any of the registry's spellings. Raises PeerError (voice, language, model), RefusedError
        (licence), EngineError `engine_unavailable`.
        """
        vad, board = self._vad(), self._switchboard()
        found = cast(board, voice, request.language, model=model)
        ears = found.ears
        parts = Parts(
            vad=vad,
            stt=ears.stt,
            hearing=TranscriptionRequest(ears.language, among=ears.among, given=ears.given, named=ears.named),
            identifier=ears.identifier,
            turn=self._turn(),
            thinking=Thinking(
                found.mind.llm,
                found.mind.model,
                self._settings.reply_tokens,
                translator=self._translator(board),
                reads_ahead=found.reads_ahead,
            ),
            remote=found.remote,
            voices={tag: Voicing(mouth.tts, mouth.voice.id, mouth.language) for tag, mouth in found.mouths.items()},
            spoken=found.spoken,
            load=self._load,
            metrics=self._metrics,
            observers=self._observers,
        )
        return Conversation(replace(request, language=found.language), parts, self._settings)

    def _translator(self, board: Switchboard) -> Translator | None:
        """Who says answers in the language that is wanted; None where the model that answers is told."""
        if not self._settings.translator:
            return None
        mind = board.mind(self._settings.translator)
        return LlmTranslator(mind.llm, mind.model)
