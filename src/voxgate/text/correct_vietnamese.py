"""What is corrected in Vietnamese text: hesitations, stuttered function words, numbers, names of places. Pure.

Doubled words are words of the language (`xanh xanh`, `từ từ`, `là là`) and stay; so do `à`, `ạ`, `ơ`, `ừ`, which ask,
show respect or agree.
"""

import re
from collections.abc import Iterator, Sequence

from voxgate.text.correct_edits import Edit, replaced

# hesitations

_SURE = r"(?:ừm+|ờm+|ưm+|um+|uhm+|ừmm+)"
_FILLER = re.compile(
    rf"(?P<left>^|(?P<lcomma>,|\.\.\.|…)? )(?P<said>{_SURE}|(?<=, )(?:ờ|à)(?=[,…]|\.\.\.))(?![\w'’-])"
    r"(?P<right>(?P<rcomma>,|\.\.\.|…)(?= |$)|(?P<stop>\.)(?= |$)|(?= |$))",
    re.IGNORECASE,
)
_CLAUSE = frozenset("và nhưng hoặc nên vì thì mà rồi tôi em anh chị mình chúng bạn".split())
_FIRST_WORD = re.compile(r"\s*([^\W\d_]+)")


def fillers(text: str) -> Iterator[Edit]:
    """`ừm`, `ờm`, `um`; `ờ` and `à` only between commas, where they are no answer and no question."""
    found = [edit for match in _FILLER.finditer(text) if (edit := _filler(text, match)) is not None]
    if found and any(character.isalnum() for character in replaced(text, found)):
        yield from found


def _filler(text: str, match: re.Match[str]) -> Edit | None:
    start, end = match.span()
    before = text[max(0, start - 3) : start].rstrip()
    if match["lcomma"] is None and (not before or before[-1] in ".?!"):
        if match["said"].isupper() and len(match["said"]) > 1:
            return None
        return Edit(start + len(match["left"]), end + (1 if text[end : end + 1] == " " else 0), "", "filler")
    if not before or match["said"] != match["said"].lower():
        return None
    if match["stop"] or not text[end:].strip():
        return Edit(start, match.start("right"), "", "filler")
    if match["rcomma"] is None:
        return Edit(start + len(match["left"]) - 1, end, "", "filler")
    following = _FIRST_WORD.match(text, end)
    keep = following is not None and following.group(1).lower() in _CLAUSE
    return Edit(start, end, "," if keep else "", "filler")


# stutters

_REPEATED = re.compile(r"(?<![\w'’-])(và|nhưng|các|những|của|tôi|chúng tôi|nếu)((?:,? \1)+)(?![\w'’-])", re.IGNORECASE)


def repetitions(text: str) -> Iterator[Edit]:
    """Function words that never stand twice in a row."""
    for match in _REPEATED.finditer(text):
        if match[2] == match[2].lower():
            yield Edit(*match.span(2), "", "repetition")


# numbers

_DIGITS = {w: n for n, w in enumerate("không một hai ba bốn năm sáu bảy tám chín".split())}
_UNITS = {w: n for w, n in _DIGITS.items() if n} | {"mốt": 1, "lăm": 5, "tư": 4, "bẩy": 7}
_AFTER_TENS = {w: n for w, n in _UNITS.items() if w not in ("năm", "một")}  # hai mươi năm: twenty years
_THOUSAND = ("nghìn", "ngàn")
_SCALES = ("triệu", "tỷ", "tỉ")
_WORDS = _UNITS.keys() | {"không", "mười", "mươi", "trăm", "linh", "lẻ", *_THOUSAND}
_NUMBER = re.compile(
    rf"(?<![\w'’-])(?:{'|'.join(sorted(_WORDS, key=lambda w: (-len(w), w)))})"
    rf"(?: (?:{'|'.join(sorted(_WORDS, key=lambda w: (-len(w), w)))})(?![\w'’-]))+(?![\w'’-])"
)
_PERCENT = re.compile(r" phần trăm(?![\w'’-])")
_SCALE_AFTER = re.compile(r" (?:triệu|tỷ|tỉ)(?![\w'’-])")
_YEAR_BEFORE = re.compile(r"(?:^|[\s,.])năm \Z", re.IGNORECASE)
_JOINED_AFTER = re.compile(r"-\w| (?:\d|rưỡi|mấy|phẩy|phần(?! trăm))")
_JOINED_BEFORE = re.compile(r"(?:\d|\b(?:triệu|tỷ|tỉ|phẩy|chục|rưỡi|mấy|vài|Tháng|Thứ|phần)) \Z")
_PHONE_DIGITS = (9, 11)
"""Vietnamese subscriber numbers have 10 figures, older ones 9 or 11, the first a zero."""


def numbers(text: str) -> Iterator[Edit]:
    """Compound numbers from eleven on (`hai mươi lăm`), percentages, years, and phone numbers said figure by figure.

    Lone words stay: `năm` is also a year, `không` is no, `mười mươi` is certainty. Thousands are set off with a
    point, as Vietnamese does; `triệu` and `tỷ` stay words behind figures.
    """
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        words = match.group().split(" ")
        figures = "".join(str(_DIGITS[word]) for word in words if word in _DIGITS)
        if len(figures) == len(words):
            low, high = _PHONE_DIGITS
            if figures[0] == "0" and low <= len(words) <= high:
                yield Edit(start, end, figures, "number")
            continue
        percent = _PERCENT.match(text, end)
        if percent is None and words[-1] == "trăm" and text.startswith("phần ", max(0, start - 5)):
            continue
        years = words[-1] == "năm" and len(words) > 2 and words[-2] in ("mươi", "mười", "trăm", *_THOUSAND)
        if years:
            words = words[:-1]
            end -= len(" năm")
        value = cardinal(words)
        if value is None and words[0] == "năm" and 1000 <= (cardinal(words[1:]) or 0) < 2100:
            start += len("năm ")  # the year, not the figure five
            value = cardinal(words[1:])
        if (
            not text[max(0, start - 2) : start].strip(" .?!")  # a sentence begins with words
            or value is None
            or value < 11
            or _JOINED_AFTER.match(text, end)
            or _JOINED_BEFORE.search(text[max(0, start - 8) : start])
        ):
            continue
        if percent is not None and not years:
            yield Edit(start, percent.end(), f"{value}%", "number")
        elif 1000 <= value < 2100 and _YEAR_BEFORE.search(text[max(0, start - 6) : start]):
            yield Edit(start, end, str(value), "number")
        elif not (_SCALE_AFTER.match(text, end) and value >= 1000):
            yield Edit(start, end, f"{value:,}".replace(",", "."), "number")


def cardinal(words: Sequence[str]) -> int | None:
    """The number below a million that `words` (small letters) say as a whole; None if they say none.

    >>> cardinal("hai mươi lăm".split())
    25
    """
    for at, word in enumerate(words):
        if word in _THOUSAND:
            thousands = _below_thousand(words[:at], first=True)
            rest = _below_thousand(words[at + 1 :], first=False) if words[at + 1 :] else 0
            return None if not thousands or rest is None else thousands * 1000 + rest
    return _below_thousand(words, first=True)


def _below_thousand(words: Sequence[str], *, first: bool) -> int | None:
    """Behind a thousand (`first` false) hundreds are always said: `hai nghìn không trăm hai mươi`."""
    if len(words) >= 2 and words[1] == "trăm":
        hundreds = _DIGITS.get(words[0])
        if hundreds is None or (first and not hundreds):
            return None
        rest = words[2:]
        if not rest:
            return hundreds * 100
        if rest[0] in ("linh", "lẻ"):
            unit = _UNITS.get(rest[1]) if len(rest) == 2 else None
            return None if unit is None else hundreds * 100 + unit
        tens = _below_hundred(rest)
        return None if tens is None or tens < 10 else hundreds * 100 + tens
    if not first and words and words[0] in ("linh", "lẻ"):
        return _UNITS.get(words[1]) if len(words) == 2 else None
    tens = _below_hundred(words)
    return None if tens is None or (not first and tens < 10) else tens


def _below_hundred(words: Sequence[str]) -> int | None:
    if len(words) == 1:
        return 10 if words[0] == "mười" else _DIGITS.get(words[0])
    if len(words) == 2 and words[0] == "mười":
        return 10 + _UNITS[words[1]] if words[1] in _UNITS and words[1] not in ("năm", "mốt", "tư") else None
    if len(words) in (2, 3) and words[1] == "mươi" and _DIGITS.get(words[0], 0) > 1:
        if len(words) == 2:
            return _DIGITS[words[0]] * 10
        unit = _AFTER_TENS.get(words[2])
        return None if unit is None else _DIGITS[words[0]] * 10 + unit
    return None


# capitals

_PLACES = {
    place.lower(): place
    for place in (
        "Việt Nam",
        "Hà Nội",
        "Sài Gòn",
        "Đà Nẵng",
        "Hải Phòng",
        "Hồ Chí Minh",
        "Singapore",
        "Facebook",
        "YouTube",
        "Zalo",
    )
}
_PLACE = re.compile(rf"(?<![\w'’-])(?:{'|'.join(_PLACES)})(?![\w'’-])", re.IGNORECASE)
_SENTENCE = re.compile(r"(?:^|(?<=[^\W\d_]{2})[.?!] )(?P<word>[^\W\d_]++)")
_ABBREVIATED = re.compile(r"(?:^|\W)(?:tp|ts|ths|gs|pgs|bs|ks|vv|tr|mr|mrs|ms|dr)\Z", re.IGNORECASE)


def capitals(text: str, *, continues: bool = False) -> Iterator[Edit]:
    """Sentence beginnings, and places that are always written with capitals.

    `continues`: the text goes on with a sentence that began before it, so its first word may be small.
    """
    wanted: dict[tuple[int, int], str] = {}
    for match in _PLACE.finditer(text):
        place = _PLACES[match.group().lower()]
        if match.group() != place and not match.group().isupper():
            wanted[match.span()] = place
    places = {start for start, _ in wanted}
    for match in _SENTENCE.finditer(text):
        word, span = match["word"], match.span("word")
        if (continues and match.start() == 0) or span[0] in places or not word.islower():
            continue
        if match.start() and _ABBREVIATED.search(text[max(0, match.start() - 5) : match.start()]):
            continue
        wanted[span] = word[0].upper() + word[1:]
    for (start, end), new in sorted(wanted.items()):
        yield Edit(start, end, new, "casing")
