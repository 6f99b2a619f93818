"""Names, ISO 639 codes and BCP-47 tags, and the one `Language` each of them means.

Codes and English names follow the IANA language subtag registry and ISO 639-3; nicknames (`singlish`) are ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from voxgate.errors import Code, PeerError


@dataclass(frozen=True, slots=True)
class Language:
    """A language, or a regional variant of one."""

    tag: str
    """BCP-47: `en`, `en-SG`, `vi`."""
    name: str
    """The English name."""

    @property
    def base(self) -> str:
        """The tag without its region: `en` for `en-SG`."""
        return self.tag.split("-", 1)[0]


# tag, English name, ISO 639-3, further names
_TABLE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("en", "English", "eng", ()),
    ("en-SG", "Singlish", "", ("singapore english", "singaporean english")),
    ("vi", "Vietnamese", "vie", ()),
    ("zh", "Chinese", "zho", ("mandarin", "cmn", "chi")),
    ("yue", "Cantonese", "yue", ()),
    ("ko", "Korean", "kor", ()),
    ("ja", "Japanese", "jpn", ()),
    ("th", "Thai", "tha", ()),
    ("id", "Indonesian", "ind", ("bahasa indonesia",)),
    ("ms", "Malay", "msa", ("zsm", "may", "bahasa melayu")),
    ("ta", "Tamil", "tam", ()),
    ("fil", "Filipino", "fil", ("tagalog", "tl", "tgl")),
    ("am", "Amharic", "amh", ()),
    ("so", "Somali", "som", ()),
    ("ti", "Tigrinya", "tir", ("tigrigna",)),
    ("om", "Oromo", "orm", ("afaan oromo",)),
    ("es", "Spanish", "spa", ()),
    ("fr", "French", "fra", ("fre",)),
    ("de", "German", "deu", ("ger",)),
    ("it", "Italian", "ita", ()),
    ("pt", "Portuguese", "por", ()),
    ("hi", "Hindi", "hin", ()),
)

_BY_TAG = {tag: Language(tag, name) for tag, name, _, _ in _TABLE}
_BY_NAME: dict[str, Language] = {}
for _tag, _name, _iso3, _others in _TABLE:
    for _known in (_tag, _name, _iso3, *_others):
        if _known:
            _BY_NAME[_known.lower()] = _BY_TAG[_tag]

ENGLISH = _BY_TAG["en"]
"""The language of last resort."""


def all_languages() -> tuple[Language, ...]:
    """Every language the registry knows, in its order."""
    return tuple(_BY_TAG.values())


def parse(text: str, *, param: str = "language") -> Language:
    """The language `text` names, in any case.

    An unknown region is kept out of the tag (`vi-VN` is `vi`), a known variant is kept in (`en-sg` is `en-SG`).
    Raises PeerError `unsupported_language` for what the registry does not know.
    """
    key = text.strip().lower().replace("_", "-")
    found = _BY_NAME.get(key) or _BY_NAME.get(key.split("-", 1)[0] if "-" in key else "")
    if found is None:
        shown = text.strip()[:40]
        raise PeerError(
            f"{shown!r} is not a language Voxgate knows; use an English name, an ISO 639 code or a BCP-47 tag, "
            "for example 'english', 'vi' or 'en-SG'",
            code=Code.UNSUPPORTED_LANGUAGE,
            param=param,
        )
    return found


def serving(wanted: Language, served: Iterable[str]) -> str | None:
    """The tag among `served` that covers `wanted`: the same one, else its base language; None if neither."""
    tags = set(served)
    if wanted.tag in tags:
        return wanted.tag
    return wanted.base if wanted.base in tags else None
