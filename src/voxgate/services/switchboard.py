"""Who does the work: from the names on the wire (models, languages, voices) to the engine that serves them.

Pure rules over the engines that are running. Where nothing fits, the error says what would.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from voxgate.domain import Voice
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.languages import Language, all_languages, parse, serving
from voxgate.ports import LanguageIdentifier, LanguageModel, PortName, TextToSpeech
from voxgate.services.hearing import Ears, choose_ears, named_languages
from voxgate.services.routing import (
    CHATTING,
    HEARING,
    SPEAKING,
    RoutingSettings,
    VoiceSettings,
    voice_alias,
)
from voxgate.text.identify import identify


@dataclass(frozen=True, slots=True)
class Running:
    """One configured engine: at work, or the reason why not."""

    name: str
    port: PortName
    engine: Any | None
    problem: str = ""
    """Why it is not at work, for people."""
    remedy: str = ""
    """The command that would change that."""
    missing: tuple[str, ...] = ()
    """Catalogue names of the models it lacks."""


@dataclass(frozen=True, slots=True)
class Mouth:
    """Who will speak, with which of its voices, in which language."""

    name: str
    tts: TextToSpeech
    voice: Voice
    language: str


@dataclass(frozen=True, slots=True)
class Mind:
    """Who will answer."""

    name: str
    llm: LanguageModel
    model: str | None
    """The upstream's model, where the alias names one."""


_NO_VOICE = (
    "no voice of this installation does: the operator adds an engine with `pip install` (docs/engines.md), and "
    "`voxgate check` then lists it"
)


class Switchboard:
    """Routes requests to the running engines."""

    def __init__(
        self,
        engines: Iterable[Running],
        *,
        routing: RoutingSettings,
        voices: VoiceSettings,
        llm_order: Sequence[str],
    ) -> None:
        self.engines: Mapping[str, Running] = {engine.name: engine for engine in engines}
        self._routing = routing
        self._voices = voices
        self._llm_order = tuple(llm_order)
        self.default_language = parse(routing.default_language, param="routing.default_language")

    # hearing

    def heard_languages(self) -> dict[str, tuple[str, str]]:
        """BCP-47 tag -> (engine, how well), over everything that is running."""
        heard: dict[str, tuple[str, str]] = {}
        for running in self._of(self._routing.stt):
            for tag, quality in running.engine.languages.items() if running.engine else ():
                heard.setdefault(tag, (running.name, quality))
        return heard

    def ears(self, model: str, language: str | None, *, default: Language | None = None) -> Ears:
        """The recognizers for a model name and a language, or several languages separated by commas.

        None: the language in the model's name. Neither, or `auto`: told apart among the languages that are heard well,
        `default` (None: the configured one) until something is known.
        Raises PeerError (unknown names), EngineError `engine_unavailable` (what is configured does not run).
        """
        target = self._target(model, HEARING, "transcribes")
        names = self._routing.stt if target == HEARING else (target.partition("/")[0],)
        running = [(each.name, each.engine) for each in self._of(names) if each.engine]
        wanted = named_languages(language)
        if wanted is None:
            wanted = self._language_of(model)
        if not running:
            raise self._unavailable(names, "transcription")
        every = (each.engine for each in self.engines.values())
        identifier = next((engine for engine in every if isinstance(engine, LanguageIdentifier)), None)
        return choose_ears(running, wanted, default or self.default_language, identifier)

    def _language_of(self, model: str) -> tuple[Language, ...]:
        """The language in a model's name, if there is one. Raises PeerError."""
        named = model.removeprefix("valsea-").removesuffix("-rtt")
        if f"valsea-{named}-rtt" != model:
            return ()
        try:
            return (parse(named, param="model"),)
        except PeerError:
            raise self._no_model(model) from None

    # speaking

    def mouth(self, model: str, voice: str, language: str | None, text: str) -> Mouth:
        """The engine and its voice for a voice name; without a language it is taken from the text.

        Raises PeerError (unknown names, a language the voice does not speak), RefusedError (licence),
        EngineError `engine_unavailable` (what is configured does not run).
        """
        self._target(model, SPEAKING, "speaks")
        candidates = self._candidates(voice)
        if not candidates:
            configured = self._of(self._engines_of(voice))
            if configured and not any(running.engine for running in configured):
                raise self._unavailable([running.name for running in configured], "speech")
            raise PeerError(
                f"the voice {voice!r} is not available: no engine of this installation speaks its language; "
                f"available: {', '.join(self._available_voices())}",
                code=Code.UNSUPPORTED_VOICE,
                param="voice",
            )
        spoken = {tag for _, _, tags in candidates for tag in tags}
        if language is not None and language.strip().lower() not in ("", "auto"):
            tag = serving(parse(language), spoken)
        else:
            fallback = self.default_language.tag if self.default_language.tag in spoken else min(spoken)
            tag = identify(text, sorted(spoken), fallback)
        if tag is None:
            wanted = parse(str(language))
            fitting = [name for name in self._available_voices() if serving(wanted, self._spoken_by(name))]
            offer = f"voices that do: {', '.join(fitting)}" if fitting else _NO_VOICE
            raise PeerError(
                f"the voice {voice!r} does not speak {wanted.name}; {offer}", code=Code.UNSUPPORTED_VOICE, param="voice"
            )
        for name, found, tags in candidates:
            if tag in tags:
                if self._voices.commercial_only and not found.commercial:
                    continue
                engine: TextToSpeech = self.engines[name].engine  # type: ignore[assignment]
                return Mouth(name, engine, found, tag)
        raise RefusedError(
            f"the voice {voice!r} is not licensed for commercial use without doubt, and voices.commercial_only is set"
        )

    def mouths(self, model: str, voice: str) -> dict[str, Mouth]:
        """For each language that a voice name speaks, the engine and its voice, as `mouth` answers. Raises as that."""
        found = {}
        for tag in sorted(self._spoken_by(voice)):
            with suppress(RefusedError):  # another language of the voice may be licensed
                found[tag] = self.mouth(model, voice, tag, "")
        if not found:
            first = self.mouth(model, voice, None, "")  # says why there is none
            found[first.language] = first
        return found

    def _candidates(self, voice: str) -> list[tuple[str, Voice, tuple[str, ...]]]:
        """(engine, voice, languages it may be used for), best first. Raises PeerError for an unknown name."""
        alias = self._voices.aliases.get(voice)
        if alias is None and "/" not in voice:
            raise PeerError(
                f"there is no voice {voice[:40]!r}; available: {', '.join(self._available_voices())}",
                code=Code.UNSUPPORTED_VOICE,
                param="voice",
            )
        alias = alias or voice_alias("neutral", voice)
        found: list[tuple[str, Voice, tuple[str, ...]]] = []
        for use in alias.use:
            name, _, wanted = use.partition("/")
            running = self.engines.get(name)
            if running is None or running.engine is None:
                continue
            voices: Sequence[Voice] = running.engine.voices
            if wanted == "*":
                # of the gender asked for first, whatever there is after that
                voices = sorted(voices, key=lambda v: v.gender != alias.gender and alias.gender != "neutral")
            else:
                voices = [v for v in voices if v.id == wanted]
            for v in voices:
                tags = tuple(tag for tag in v.languages if not alias.languages or tag in alias.languages)
                if tags:
                    found.append((name, v, tags))
        return found

    def _engines_of(self, voice: str) -> tuple[str, ...]:
        alias = self._voices.aliases.get(voice)
        uses = (voice,) if alias is None else alias.use
        return tuple(dict.fromkeys(use.partition("/")[0] for use in uses))

    def _spoken_by(self, voice: str) -> set[str]:
        return {tag for _, _, tags in self._candidates(voice) for tag in tags}

    def _available_voices(self) -> list[str]:
        return [name for name in self._voices.aliases if self._candidates(name)]

    def voices(self) -> list[dict[str, Any]]:
        """What `GET /v1/audio/voices` lists: every voice name, also those that nothing speaks now."""
        listed = []
        for name, alias in self._voices.aliases.items():
            candidates = self._candidates(name)
            if self._voices.commercial_only:
                candidates = [c for c in candidates if c[1].commercial]
            entry: dict[str, Any] = {
                "id": name,
                "object": "voice",
                "gender": alias.gender,
                "languages": sorted({tag for _, _, tags in candidates for tag in tags} or set(alias.languages)),
                "available": bool(candidates),
                "engine": None,
            }
            if candidates:
                engine, first, _ = candidates[0]
                entry |= {
                    "engine": engine,
                    "quality": first.quality,
                    "licence": first.licence,
                    "commercial_use": "clear" if first.commercial else "unclear",
                }
            listed.append(entry)
        return listed

    # answering

    def mind(self, model: str) -> Mind:
        """The language model for a model name. Raises PeerError, EngineError `engine_unavailable`."""
        target = self._target(model, CHATTING, "answers chats")
        engine, _, upstream = target.partition("/")
        names = self._llm_order if engine == CHATTING else (engine,)
        for running in self._of(names):
            if running.engine:
                return Mind(running.name, running.engine, upstream or None)
        reasons = "; ".join(f"{r.name}: {r.problem}" for r in self._of(names) if r.problem)
        raise EngineError(
            f"no language model is running{f' ({reasons})' if reasons else ''}; either set OPENAI_BASE_URL (and "
            "OPENAI_API_KEY) to an OpenAI-compatible server, or run `voxgate models pull smollm2-135m-instruct-q4_1` "
            "for the demo model, then restart",
            engine="llm",
            code=Code.ENGINE_UNAVAILABLE,
        )

    # models

    def models(self) -> list[dict[str, Any]]:
        """What `GET /v1/models` lists: the names that are no patterns, and `valsea-LANGUAGE-rtt` for what is heard."""
        heard = self.heard_languages()
        listed = []
        for name, target in self._routing.models.items():
            if "*" not in name:
                listed.append(self._model(name, target, heard))
        for language in all_languages():
            if "valsea-*-rtt" in self._routing.models and serving(language, heard):
                spelled = f"valsea-{language.name.lower()}-rtt"
                listed.append(self._model(spelled, HEARING, {t: heard[t] for t in [serving(language, heard)] if t}))
        return listed

    def model(self, name: str) -> dict[str, Any]:
        """What `GET /v1/models/NAME` answers, also for a name that only a pattern covers. Raises PeerError."""
        for entry in self.models():
            if entry["id"] == name:
                return entry
        target = self._alias(name)
        if target is None or fnmatchcase(name, "valsea-*-rtt"):  # of these only the languages that are heard are listed
            raise self._no_model(name)
        return self._model(name, target, self.heard_languages())

    def _model(self, name: str, target: str, heard: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        kind, engines = self._kind(target)
        running = next((r for r in self._of(engines) if r.engine), None)
        entry: dict[str, Any] = {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "voxgate",
            "task": {HEARING: "transcription", SPEAKING: "speech", CHATTING: "chat"}[kind],
            "available": running is not None,
            "engine": running.name if running else None,
        }
        if kind == HEARING:
            entry["languages"] = {tag: quality for tag, (_, quality) in heard.items()}
        if kind == CHATTING and running and running.engine:
            entry["answered_by"] = target.partition("/")[2] or running.engine.model
            entry["demo"] = running.engine.demo
        return entry

    def _kind(self, target: str) -> tuple[str, tuple[str, ...]]:
        """(what the target of an alias does, the engines that may do it)."""
        orders = {HEARING: self._routing.stt, SPEAKING: self._routing.tts, CHATTING: self._llm_order}
        if target in orders:
            return target, orders[target]
        engine = target.partition("/")[0]
        return self.engines[engine].port if engine in self.engines else CHATTING, (engine,)

    def _target(self, model: str, kind: str, verb: str) -> str:
        aliases = self._routing.models
        target = self._alias(model)
        if target is None:
            raise self._no_model(model)
        if self._kind(target)[0] != kind:
            fitting = ", ".join(name for name, to in aliases.items() if self._kind(to)[0] == kind)
            raise PeerError(
                f"the model {model[:60]!r} is for something else; one that {verb}: {fitting}",
                code=Code.MODEL_NOT_FOUND,
                param="model",
            )
        return target

    def _alias(self, model: str) -> str | None:
        aliases = self._routing.models
        return aliases.get(model) or next((to for name, to in aliases.items() if fnmatchcase(model, name)), None)

    def _no_model(self, model: str) -> PeerError:
        known = ", ".join(self._routing.models)
        return PeerError(f"there is no model {model[:60]!r}; known: {known}", code=Code.MODEL_NOT_FOUND, param="model")

    def _of(self, names: Iterable[str]) -> list[Running]:
        return [self.engines[name] for name in names if name in self.engines]

    def _unavailable(self, names: Iterable[str], what: str) -> EngineError:
        reasons = [r for r in self._of(names) if r.problem]
        told = "; ".join(f"{r.name}: {r.problem}" + (f" (`{r.remedy}` adds it)" if r.remedy else "") for r in reasons)
        return EngineError(
            f"no engine for {what} is running" + (f": {told}" if told else ""),
            engine=next(iter(names), what),
            code=Code.ENGINE_UNAVAILABLE,
        )
