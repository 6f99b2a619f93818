"""Numbers in words for the languages that have no rules of their own, as far as num2words knows them."""

import re
from collections.abc import Mapping

_LANGUAGES: Mapping[str, str] = {
    **{"ko": "ko", "ja": "ja", "th": "th", "id": "id", "am": "am"},
    **{"es": "es", "fr": "fr", "de": "de", "it": "it", "pt": "pt"},
}
"""Base tag -> name in num2words 0.5.14. Chinese, Malay, Tamil, Hindi, Somali, Tigrinya, Oromo and Filipino it lacks."""
_DECIMAL_COMMA = frozenset(("es", "fr", "de", "it", "pt", "id"))
_LONGEST = 12
_NUMBER = re.compile(r"(?<![\w.,:/-])(?P<number>[0-9]++(?:[.,][0-9]++)*+)(?![\w%°])(?![:/-][0-9])")


def numbers_said(text: str, base: str) -> str:
    """`text` with its free-standing numbers in words of the language `base`; unchanged where num2words has no words."""
    name = _LANGUAGES.get(base)
    if name is None or not any(figure in text for figure in "0123456789"):
        return text
    return _NUMBER.sub(lambda found: _said(found["number"], base, name), text)


def _said(written: str, base: str, name: str) -> str:
    from num2words import num2words  # 60 ms, needed by few

    group, point = (".", ",") if base in _DECIMAL_COMMA else (",", ".")
    whole, _, fraction = written.partition(point)
    groups = whole.split(group)
    bare = "".join(groups)
    ungrouped = len(groups) > 1 and not (len(groups[0]) <= 3 and all(len(each) == 3 for each in groups[1:]))
    odd = ungrouped or (not fraction.isdigit() * bool(fraction) and bool(fraction))
    if odd or len(bare) > _LONGEST or len(fraction) > 6 or (len(bare) > 1 and bare[0] == "0"):
        return written
    try:
        said = str(num2words(float(f"{bare}.{fraction}") if fraction else int(bare), lang=name))
    except (NotImplementedError, OverflowError):  # a language whose tables end earlier, or have no decimals
        return written
    return said
