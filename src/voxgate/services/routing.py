"""What the names of clients mean here: settings for models, voices and the order of engines."""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, field_validator

from voxgate.config import Settings
from voxgate.errors import PeerError
from voxgate.languages import parse

HEARING, SPEAKING, CHATTING = "stt", "tts", "llm"
"""What the target of a model alias can be, beside the name of an engine."""


Gender = Literal["female", "male", "neutral"]
"""Of a voice name."""


class VoiceAlias(Settings):
    """One entry of `[voices.aliases]`: a voice name of clients."""

    gender: Gender
    """What the name promises; `neutral` takes any voice."""
    languages: tuple[str, ...] = ()
    """Languages the name may be used for; empty: every one that a voice of `use` speaks."""
    use: tuple[str, ...]
    """`ENGINE/VOICE`, best first; `ENGINE/*` is that engine's voice for the language, of this gender if it has one."""


def voice_alias(gender: Gender, *use: str, languages: tuple[str, ...] = ()) -> VoiceAlias:
    """An entry of `[voices.aliases]`, written short."""
    return VoiceAlias(gender=gender, languages=languages, use=use)


_EN = ("en",)
# Kokoro has no French man: espeak-ng's speaks there, rather than a woman.
_KOKORO_MEN = ("em_alex", "hm_omega", "im_nicola", "pm_alex", "jm_kumo", "zm_yunxi")


_VOICES: Mapping[str, VoiceAlias] = {
    "valsea-neutral": voice_alias("neutral", "piper/joe", "kokoro/*", "espeak/*"),
    "valsea-default": voice_alias("neutral", "piper/joe", "kokoro/*", "espeak/*"),
    "valsea-male": voice_alias("male", "piper/joe", *(f"kokoro/{man}" for man in _KOKORO_MEN), "espeak/*"),
    "valsea-female": voice_alias("female", "kokoro/af_heart", "kokoro/*", "espeak/en-us+f2", "espeak/*"),
    "aria": voice_alias("female", "kokoro/af_bella", "espeak/en-us+f3", languages=_EN),
    "andrew": voice_alias("male", "piper/joe", "espeak/en-us", languages=_EN),
    "alloy": voice_alias("female", "kokoro/af_alloy", "espeak/en-us+f1", languages=_EN),
    "echo": voice_alias("male", "piper/joe+115", "espeak/en-us+m3", languages=_EN),
    "fable": voice_alias("male", "piper/joe+130", "espeak/en-us+m7", languages=_EN),
    "onyx": voice_alias("male", "piper/joe", "espeak/en-us", languages=_EN),
    "nova": voice_alias("female", "kokoro/af_nova", "espeak/en-us+f4", languages=_EN),
    "shimmer": voice_alias("female", "kokoro/bf_emma", "espeak/en-us+f5", languages=_EN),
    "mekdes": voice_alias("female", "espeak/*", languages=("am",)),
    "ameha": voice_alias("male", "espeak/*", languages=("am",)),
    "betty": voice_alias("female", "espeak/*", languages=("am",)),
    "ubax": voice_alias("female", "espeak/*", languages=("so",)),
    "muuse": voice_alias("male", "espeak/*", languages=("so",)),
    "sami": voice_alias("male", "espeak/*", languages=("ti",)),
    "ibsaa": voice_alias("male", "espeak/*", languages=("om",)),
}


class VoiceSettings(Settings):
    """`[voices]`: what the voice names of clients mean."""

    commercial_only: bool = False
    """Refuse voices whose licence is unclear for commercial use."""
    aliases: Mapping[str, VoiceAlias] = Field(default=_VOICES)
    """Voice names of clients; what is given here is added to the names Voxgate knows, or changes them."""

    @field_validator("aliases")
    @classmethod
    def _added_to_ours(cls, given: Mapping[str, VoiceAlias]) -> Mapping[str, VoiceAlias]:
        return {**_VOICES, **given}


_MODELS: Mapping[str, str] = {
    "valsea-transcribe": HEARING,
    "valsea-rtt": HEARING,
    "valsea-*-rtt": HEARING,
    "whisper-1": HEARING,
    "gpt-4o-transcribe": HEARING,
    "gpt-4o-mini-transcribe": HEARING,
    "valsea-tts": SPEAKING,
    "valsea-tts-realtime": SPEAKING,
    "tts-1": SPEAKING,
    "tts-1-hd": SPEAKING,
    "gpt-4o-mini-tts": SPEAKING,
    "valsea-fast": CHATTING,
    "gpt-*": CHATTING,
}


class RoutingSettings(Settings):
    """`[routing]`: which engine is asked first, and for which model name."""

    stt: tuple[str, ...] = ("moonshine", "whisper")
    """Recognizers, best first; the first that serves the language is used."""
    tts: tuple[str, ...] = ("piper", "kokoro", "espeak")
    """Engines that speak; which one does is told by the voice."""
    optional: tuple[str, ...] = ("kokoro", "smart_turn")
    """Engines that run once their models are pulled, and are not missed before."""
    llm: tuple[str, ...] = ("auto",)
    """Language models; the first is the default. `auto`: OPENAI_BASE_URL or OPENAI_API_KEY, else Ollama on this
    machine, else the demo model."""
    vad: str = "silero"
    """The voice detector."""
    turn: str = "smart_turn"
    """What tells by the sound whether a speaker in a conversation has finished; empty: pauses and words alone do."""
    decoder: str = "pyav"
    """What reads audio files."""
    default_language: str = "english"
    """Heard where a client names no language and none was recognized."""
    models: Mapping[str, str] = Field(default=_MODELS)
    """What the model names of clients mean. Name or pattern -> `stt`, `tts` or `llm` (the engine that fits best),
    `ENGINE`, or `ENGINE/MODEL`. Exact names count before patterns, and the first pattern that fits.
    What is given here comes before the names Voxgate knows, or changes them; an empty target takes a name away."""

    @field_validator("models")
    @classmethod
    def _added_to_ours(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        # given ones first: of two patterns that fit, the operator's counts
        ours = {name: target for name, target in _MODELS.items() if name not in given}
        return {name: target for name, target in {**given, **ours}.items() if target}

    @field_validator("default_language")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            parse(given)
        except PeerError as error:
            raise ValueError(error.message) from None
        return given

    def engines(self, llm_order: Iterable[str]) -> tuple[str, ...]:
        """Every engine that is to run; `llm_order` is `llm` with `auto` resolved."""
        turn = [self.turn] if self.turn else []
        return tuple(
            dict.fromkeys([*self.stt, *self.tts, *llm_order, *self.alias_engines(), self.vad, *turn, self.decoder])
        )

    def alias_engines(self) -> tuple[str, ...]:
        """The engines that targets of `models` name."""
        kinds = (HEARING, SPEAKING, CHATTING)
        return tuple(dict.fromkeys(to.partition("/")[0] for to in self.models.values() if to not in kinds))
