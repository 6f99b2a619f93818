"""Who hears a recording, and in which languages: the language rules over the recognizers that are running. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voxgate.errors import Code, PeerError
from voxgate.languages import Language, parse, serving
from voxgate.ports import LanguageIdentifier, Recognizer
from voxgate.services.polyglot import Polyglot

_WELL = frozenset({"good", "fair"})
"""Qualities of languages that are looked for where a client names none; a weak one has to be named."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who will hear, and in which language, or which of several."""

    name: str
    """The engine that hears `language`."""
    stt: Recognizer
    """Hears every language of `among`."""
    language: str
    """BCP-47 tag; where it is not `given`, what is heard until something else is known."""
    among: tuple[str, ...] = ()
    """What is told apart, `language` first; empty where nobody can tell, or nothing is to be told."""
    given: bool = True
    """Whether the client named exactly this language."""
    identifier: LanguageIdentifier | None = None
    """Who tells them apart."""
    named: tuple[str, ...] = ()
    """The tags the client named, in full: `en-SG` where `language` is `en`."""


def named_languages(language: str | None) -> tuple[Language, ...] | None:
    """The languages a client names, separated by commas, each once; none for `auto`, None where it names nothing.

    Raises PeerError for what is no language.
    """
    names = [name for part in (language or "").split(",") if (name := part.strip())]
    if not names:
        return None
    if any(name.lower() == "auto" for name in names):
        return ()
    return tuple(dict.fromkeys(parse(name) for name in names))


def choose_ears(
    running: Sequence[tuple[str, Recognizer]],
    wanted: Sequence[Language],
    default: Language,
    identifier: LanguageIdentifier | None,
) -> Ears:
    """The recognizers, out of those `running` (name, engine; best first), for the languages a client named.

    One: that one. Several: told apart among these. None: told apart among those that are heard well, `default` until
    something is known. Raises PeerError for a language that nobody hears, and for several where nobody can tell them
    apart.
    """
    open_ = not wanted
    named = tuple(language.tag for language in wanted)
    found = {tag: engine for language in wanted or (default,) for tag, engine in [_engine(language, running)]}
    first = next(iter(found))
    if len(found) > 1 and identifier is None:
        raise PeerError(
            "no engine that is running can tell languages apart; name the one that is spoken",
            code=Code.UNSUPPORTED_LANGUAGE,
            param="language",
        )
    if len(found) > 1 and (usual := serving(default, found)):
        first = usual
    if identifier is None:
        name, stt = found[first]
        return Ears(name, stt, first, named=named)
    given = len(found) == 1 and not open_
    rivals = dict(found)
    if given or open_:
        for name, stt in running:
            for tag, quality in stt.languages.items():
                if quality in _WELL:
                    rivals.setdefault(tag, (name, stt))
    among = (first, *(tag for tag in rivals if tag != first))
    name, stt = found[first]
    engines = {tag: rivals[tag][1] for tag in among}
    several = not given and len({id(engine) for engine in engines.values()}) > 1
    return Ears(name, Polyglot(engines) if several else stt, first, among, given, identifier, named)


def _engine(wanted: Language, running: Iterable[tuple[str, Recognizer]]) -> tuple[str, tuple[str, Recognizer]]:
    """The tag under which `wanted` is heard, and by whom. Raises PeerError."""
    served: dict[str, None] = {}
    for name, stt in running:
        if tag := serving(wanted, stt.languages):
            return tag, (name, stt)
        served |= dict.fromkeys(stt.languages)
    known = ", ".join(sorted(parse(tag).name for tag in served))
    raise PeerError(
        f"no configured engine hears {wanted.name}; served: {known}. A speech-to-text engine for {wanted.name} is "
        "missing: the operator adds one with `pip install` (docs/engines.md), and `voxgate check` then lists it",
        code=Code.UNSUPPORTED_LANGUAGE,
        param="language",
    )
