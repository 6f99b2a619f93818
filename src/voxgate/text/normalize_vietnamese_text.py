"""Vietnamese for speech, what level `advanced` adds: abbreviations, acronyms, addresses, telephone numbers, sums."""

import re

from voxgate.text.normalize_addresses import Spelling, email, url, word_rules_for_schemes
from voxgate.text.normalize_rules import Rule, always, rule, spaced, word_before
from voxgate.text.normalize_vietnamese_numbers import cardinal, digits

_ABBREVIATIONS = {
    "TP.HCM": "Thành phố Hồ Chí Minh",
    "TP. HCM": "Thành phố Hồ Chí Minh",
    "TPHCM": "Thành phố Hồ Chí Minh",
    "UBND": "Ủy ban nhân dân",
    "HĐND": "Hội đồng nhân dân",
    "MTTQ": "Mặt trận Tổ quốc",
    "CSGT": "cảnh sát giao thông",
    "PCCC": "phòng cháy chữa cháy",
    "THPT": "trung học phổ thông",
    "THCS": "trung học cơ sở",
    "ĐHQG": "Đại học Quốc gia",
    "ĐH": "Đại học",
    "GD&ĐT": "Giáo dục và Đào tạo",
    "GDĐT": "Giáo dục và Đào tạo",
    "BHXH": "bảo hiểm xã hội",
    "BHYT": "bảo hiểm y tế",
    "CNTT": "công nghệ thông tin",
    "CTCP": "công ty cổ phần",
    "TNHH": "trách nhiệm hữu hạn",
    "KCN": "khu công nghiệp",
    "KTX": "ký túc xá",
    "CMND": "chứng minh nhân dân",
    "CCCD": "căn cước công dân",
    "GTGT": "giá trị gia tăng",
    "NXB": "nhà xuất bản",
    "VN": "Việt Nam",
    "HN": "Hà Nội",
    "SĐT": "số điện thoại",
    "sđt": "số điện thoại",
    "đ/c": "địa chỉ",
    "ĐT:": "điện thoại:",
    "v.v.": "vân vân",
    "v.v": "vân vân",
    "VD:": "ví dụ:",
    "vd:": "ví dụ:",
    "v/v": "về việc",
    "ko": "không",
    "đc": "được",
    "vs.": "với",
    "e-mail": "email",
}
"""As written -> as said. A stop that also ends the text is kept."""

_LETTERS = {
    **{"A": "a", "B": "bê", "C": "xê", "D": "đê", "Đ": "đê", "E": "e", "F": "ép", "G": "giê", "H": "hát", "I": "i"},
    **{"J": "gi", "K": "ca", "L": "e lờ", "M": "em mờ", "N": "en nờ", "O": "o", "P": "pê", "Q": "quy", "R": "e rờ"},
    **{"S": "ét", "T": "tê", "U": "u", "V": "vê", "W": "vê kép", "X": "ích", "Y": "i dài", "Z": "dét"},
}
"""The names of the letters as acronyms are spelled with them (`VTV` "vê tê vê", `USB` "u ét bê")."""
_SPELLED = frozenset(
    "AI API FAQ UI USA EU ID IP IT PC CPU GPU IBM FBI CIA CEO CFO ATM VIP ADN EVN ICU AFF HIV USB".split()
)
_WITHOUT_VOWEL = re.compile(r"[^AEIOUY]+")
_ROMAN = {"I": 1, "V": 5, "X": 10}
_COUNTED_BY_ROMAN = frozenset(
    "kỷ thứ chương phần tập quyển mục quý khóa khoá hạng cấp loại giới kỳ lần hồi bài đệ hội".split()
)


def spelled(letters: str) -> str:
    """Letters one by one, by their Vietnamese names; others stay as they are."""
    return " ".join(_LETTERS.get(letter, letter) for letter in letters.upper())


_SPELLING = Spelling(
    dot="chấm",
    at="a còng",
    slash="gạch chéo",
    dash="gạch ngang",
    underscore="gạch dưới",
    plus="cộng",
    number=cardinal,
    digits=digits,
    letters=spelled,
    said=frozenset("com net org info gov edu dev app shop online".split()),
)


def _abbreviation(found: re.Match[str]) -> str:
    short = found.group()
    return _ABBREVIATIONS[short] + ("." if short.endswith(".") and _TEXT_ENDS.match(found.string, found.end()) else "")


_TEXT_ENDS = re.compile(r"[\"”')]?\s*+(?:\Z|[^\W\d_a-z])")


def _acronym(found: re.Match[str]) -> str | None:
    letters, text = found["letters"], found.string
    around = text[max(0, found.start() - 30) : found.start()] + " " + text[found.end() : found.end() + 30]
    words = re.findall(r"[^\W\d_]{2,}", around)
    if len(words) > 1 and sum(word.isupper() for word in words) * 2 > len(words):
        return None  # a text in capitals
    known = letters in _SPELLED or (len(letters) <= 5 and _WITHOUT_VOWEL.fullmatch(letters))
    return spelled(letters) if known else None


def _roman(found: re.Match[str]) -> str | None:
    """`thế kỷ XXI`, `chương IV`."""
    numeral = found["numeral"]
    values = [_ROMAN[letter] for letter in numeral]
    value = sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))
    canonical = "X" * (value // 10) + ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[value % 10]
    if canonical != numeral or word_before(found.string, found.start()).lower() not in _COUNTED_BY_ROMAN:
        return None
    return cardinal(str(value))


def _telephone(found: re.Match[str]) -> str:
    """Group by group, digit by digit; a number without groups in 4, 3 and 3 digits."""
    groups = re.findall(r"[0-9]+", found.group())
    if len(groups) == 1:
        figures = groups[0]
        groups = [figures[:4], figures[4:7], figures[7:]]
    return ("cộng " if found.group()[0] == "+" else "") + ", ".join(digits(group) for group in groups)


def _long(found: re.Match[str]) -> str | None:
    figures = found["figures"]
    if figures.endswith("000") and len(figures) <= 15:
        return None
    size = 3 if len(figures) % 3 == 0 else 4
    return ", ".join(digits(figures[at : at + size]) for at in range(0, len(figures), size))


def _dotted(found: re.Match[str]) -> str:
    said = " chấm ".join(cardinal(part) for part in found["parts"].split("."))
    return f"phiên bản {said}" if found["v"] else said


def telephone_rules() -> tuple[Rule, ...]:
    """The rules that begin with a number; to be tried before those of `basic`."""
    end = r"(?![\w-])(?!\.[0-9])"
    return (
        rule(rf"0[0-9]{{9,10}}{end}", _telephone),
        rule(rf"0[0-9]{{1,3}}(?:[ .-][0-9]{{2,4}}){{2,4}}{end}", _telephone),
        rule(rf"1[89]00(?:[ .-][0-9]{{2,4}}){{1,2}}{end}", _telephone),
        rule(rf"[0-9]{{4}}(?:[ -][0-9]{{4}}){{2,3}}{end}", _telephone),
        rule(
            rf"(?P<v>)(?P<parts>[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{2,4}}){end}",
            _versioned,
        ),
        rule(r"(?P<figures>[0-9]{7,}+)(?![\w%°])(?![.,:/–-][0-9])", _long),
    )


def _versioned(found: re.Match[str]) -> str | None:
    """`2.1.3`; what is grouped in thousands is a number."""
    grouped = all(len(part) == 3 for part in found["parts"].split(".")[1:])
    return None if grouped else _dotted(found)


def joined_rules() -> tuple[Rule, ...]:
    """Addresses and versions, which may begin with any word."""
    version = rule(r"(?P<v>[vV])(?P<parts>[0-9]{1,6}(?:\.[0-9]{1,6}){1,4})(?![\w-])(?!\.[0-9])", _dotted)
    return (version, email(_SPELLING), url(_SPELLING))


def word_rules() -> dict[str, list[Rule]]:
    """The rules, by the word they begin with."""
    words: dict[str, list[Rule]] = {}
    for short in sorted(_ABBREVIATIONS, key=len, reverse=True):
        first = re.match(r"\w+", short)
        if first:
            words.setdefault(first.group().lower(), []).append(
                rule(rf"{re.escape(short)}(?!\w)(?!\.\w)", _abbreviation)
            )
    single = rule(r"(?P<numeral>[IVX])(?![\w'’-]|\.\w)", _roman)
    for letter in "ivx":
        words.setdefault(letter, []).append(single)
    return words | word_rules_for_schemes(_SPELLING)


def capital_rules() -> tuple[Rule, ...]:
    """The rules that begin with two capitals."""
    return (
        rule(r"(?P<numeral>[IVX]{2,7})(?!\w)", _roman),
        rule(r"(?P<letters>[A-ZĐ]{2,6})(?![\w])", _acronym),
    )


def sign_rules() -> dict[str, list[Rule]]:
    """The rules that begin with a mark: sums, hashtags, telephone numbers with +."""
    operand = r"(?=\s?[0-9a-zA-Z(-])"
    signs = {
        mark: [rule(rf"(?<=[0-9)] ){re.escape(mark)}(?= [0-9(])", always(word))]
        for mark, word in (("-", "trừ"), ("−", "trừ"), ("/", "chia"), ("*", "nhân"))
    }
    for mark, word in (("+", "cộng"), ("=", "bằng"), ("×", "nhân"), ("÷", "chia"), ("≥", "lớn hơn hoặc bằng")):
        signs[mark] = [
            rule(
                rf"(?:(?<=[\w)%])|(?<=[\w)%]\s)){re.escape(mark)}{operand}",
                spaced(word),
            )
        ]
    for mark, word in (("<", "nhỏ hơn"), (">", "lớn hơn")):
        signs[mark] = [rule(rf"(?<=[0-9a-zA-Z)] ){mark}(?= [0-9a-zA-Z(-])", always(word))]
    signs["+"].insert(0, rule(r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{2,5}\)?){1,5}(?![\w-])", _telephone_abroad))
    signs["&"] = [rule(r"&", spaced("và"))]
    signs["#"] = [rule(r"(?<!\w)#(?P<tag>[^\W\d_]\w{1,60})", _hashtag)]
    signs["@"] = [rule(r"(?<!\w)@(?=[^\W_])", always("a còng "))]
    signs["("] = [rule(r"\([0-9]{2,4}\)[ -]?[0-9]{3,4}[ .-][0-9]{3,4}(?![\w-])", _telephone)]
    signs["→"] = [rule("→", spaced("đến"))]
    return signs


def _telephone_abroad(found: re.Match[str]) -> str:
    groups = re.findall(r"[0-9]+", found.group())
    return "cộng " + ", ".join(digits(group) for group in groups)


def _hashtag(found: re.Match[str]) -> str:
    return "hashtag " + " ".join(re.findall(r"[A-ZĐ]{2,}(?![a-z])|[^\W\d_][^\W\d_A-Z]*|[0-9]+", found["tag"]))
