"""English, what level `advanced` adds: abbreviations, acronyms, addresses, telephone numbers, codes, sums."""

import re

from voxgate.text.normalize_addresses import Spelling, email, url, word_rules_for_schemes
from voxgate.text.normalize_english_dates import END
from voxgate.text.normalize_english_numbers import cardinal, digits, ordinal
from voxgate.text.normalize_rules import Rule, always, rule, spaced, word_before

_ABBREVIATIONS = {
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
    "vs.": "versus",
    "vs": "versus",
    "approx.": "approximately",
    "dept.": "department",
    "est.": "established",
    "ext.": "extension",
    "inc.": "incorporated",
    "ltd.": "limited",
    "corp.": "corporation",
    "govt.": "government",
    "w/o": "without",
    "w/": "with",
    "b/c": "because",
    "a.k.a.": "also known as",
    "aka": "also known as",
    "cf.": "compare",
    "asap": "as soon as possible",
    "btw": "by the way",
    "fyi": "for your information",
    "imo": "in my opinion",
    "tbh": "to be honest",
    "and/or": "and or",
    "c++": "C plus plus",
    "c#": "C sharp",
    "wwii": "World War Two",
    "ww2": "World War Two",
    "wwi": "World War One",
    "ww1": "World War One",
    "u.s.": "U-S",
    "u.s.a.": "U.S.A",
    "u.k.": "U-K",
    "u.n.": "U-N",
    "d.c.": "D-C",
    "ph.d.": "P-H-D",
    "phd": "P-H-D",
    "h2o": "H two O",
    "co2": "C O two",
    "co₂": "C O two",
    "h₂o": "H two O",
    "o₂": "O two",
}
"""As written, in lower case -> as said. A stop that also ends the text is kept."""

_SPELLED = frozenset(
    "AI API UI UX US USA UK EU UN UAE IT ID IP IQ IO OS PC TV CD DVD USB CPU GPU RSA AWS IBM FBI CIA CEO CFO CTO "
    "COO CIO HR PR QA FAQ URL URI ATM ETA EOD OCR IDE SDK CLI GUI ISO IEC IEEE IRS IPO EV SUV AC DC FM BBC CNN "
    "NBC ABC ESPN HIV DNA RNA MRI ICU ER EKG NGO GDP GNP VIP DIY RSVP SOS UFO EMI ROI KPI OKR SLA AED SGD USD EUR "
    "IOU ESL EPA FDA FAA SEC IMF WHO WTO ECB UCLA MIT AES ASR VAD IVR IV".split()
)
"""Acronyms that are spelled although they could be read as words."""
_SAID = frozenset(
    "NASA NATO UNESCO UNICEF OPEC ASEAN RAM ROM LAN WAN SIM PIN GIF JPEG LASER RADAR SONAR SCUBA AIDS COVID FIFA UEFA "
    "NASDAQ SWAT DARPA ICANN CAPTCHA YAML JSON TOEFL IELTS HIPAA OSHA FEMA POTUS NIMBY YOLO LOL BIOS DOS GAN CAD CAM "
    "REST SOAP AJAX SAT GMAT ZIP NAFTA BREXIT OK".split()
)
"""Acronyms that are said as words."""
_WITHOUT_VOWEL = re.compile(r"[^AEIOUY]+")
_SHOUTED = re.compile(r"\b[A-Z]{4,}\b")

_ROMAN = {"I": 1, "V": 5, "X": 10}
_COUNTED_BY_ROMAN = frozenset(
    "war chapter part volume vol act section title phase type class bowl level grade article appendix book stage tier "
    "episode season scene round mark schedule figure table fantasy".split()
)
_REIGNING = frozenset(
    "henry louis charles elizabeth george william james edward richard philip paul pius benedict francis leo gregory "
    "nicholas peter catherine ivan alexander frederick wilhelm napoleon otto john mary victoria clement innocent urban "
    "rama harald olav gustav carlos felipe albert leopold ptolemy ramesses tutankhamun xerxes darius mehmed".split()
)

_NO_NAMES = frozenset("A An The This That My His Her Our Your Their In On At And Or I We You If Is".split())

_SPELLING = Spelling(
    dot="dot",
    at="at",
    slash="slash",
    dash="dash",
    underscore="underscore",
    plus="plus",
    number=cardinal,
    digits=digits,
    letters=lambda text: spelled(text),
    said=frozenset("com org net info gov edu dev app mil biz online shop site store tech cloud".split()),
)


def spelled(letters: str) -> str:
    """Letters one by one, as one word: `USB` is "U-S-B", `FAQ` is "F.A.Q".

    Between hyphens espeak-ng names each capital, but weakens an A that is not the first to an article; stops it reads
    as an abbreviation, every letter by its name. Spaces make an article of any A (espeak-ng 1.52, measured 2026-11).
    """
    return ("." if "A" in letters.upper()[1:] else "-").join(letters.upper())


def _abbreviation(found: re.Match[str]) -> str | None:
    short = found.group()
    said = _ABBREVIATIONS[short.lower()]
    if said[0].islower() and short[0].isupper():
        said = said[0].upper() + said[1:]
    ends = _SENTENCE_ENDS if short.lower() == "etc." else _TEXT_ENDS
    return said + ("." if short.endswith(".") and ends.match(found.string, found.end()) else "")


_TEXT_ENDS = re.compile(r"[\"”')]?\s*+\Z")
_SENTENCE_ENDS = re.compile(r"[\"”')]?\s*+(?:\Z|[A-Z])")


def _acronym(found: re.Match[str]) -> str | None:
    """`USB`, `PDFs`, `GPT-4`: spelled if it is known to be, or has no vowel; never inside a shouted text."""
    letters = found["letters"]
    ending = "'s" if found["plural"] else ""
    if letters in _SAID or _is_shouted(found):
        return None
    if letters not in _SPELLED and not (len(letters) <= 5 and _WITHOUT_VOWEL.fullmatch(letters)):
        return None
    return spelled(letters) + ending


def _is_shouted(found: re.Match[str]) -> bool:
    """Whether the words around are in capitals too."""
    text = found.string
    around = text[max(0, found.start() - 30) : found.start()] + " " + text[found.end() : found.end() + 30]
    words = re.findall(r"[^\W\d_]{2,}", around)
    return len(words) > 1 and sum(word.isupper() for word in words) * 2 > len(words)


def _joined_acronyms(found: re.Match[str]) -> str:
    """`R&D`, `AT&T`, `TCP/IP`."""
    link = " and " if found["link"] == "&" else " "
    return f"{spelled(found['first'])}{link}{spelled(found['second'])}"


def _roman(found: re.Match[str]) -> str | None:
    """`World War II`, `Henry VIII`, `Chapter IV`: the name before tells whether it counts or ranks."""
    numeral, text = found["numeral"], found.string
    values = [_ROMAN[letter] for letter in numeral]
    value = sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))
    before = word_before(text, found.start())
    if not before[:1].isupper() or before in _NO_NAMES or _canonical(value) != numeral:
        return None
    if before.lower() in _COUNTED_BY_ROMAN:
        return cardinal(str(value)).capitalize()
    if before.lower() in _REIGNING and (len(numeral) > 1 or _NAME_ENDS.match(text, found.end())):
        return f"the {ordinal(str(value)).capitalize()}"
    if len(numeral) == 1 or before.isupper():
        return None
    return cardinal(str(value)).capitalize()


_NAME_ENDS = re.compile(r"\s*\Z|[.,;:!?)'’]|\s(?:of|was|died|ruled|and|had)\b")


def _canonical(value: int) -> str:
    return "X" * (value // 10) + ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[value % 10]


def _telephone(found: re.Match[str]) -> str:
    """Group by group, digit by digit."""
    groups = re.findall(r"[0-9]+", found.group())
    return ("plus " if found.group()[0] == "+" else "") + ", ".join(digits(group) for group in groups)


def _long(found: re.Match[str]) -> str | None:
    """A number nobody counts with: digit by digit, in groups of four (three where that comes out even)."""
    figures = found["figures"]
    if figures.endswith("000") and len(figures) <= 15:
        return None
    size = 3 if len(figures) % 3 == 0 else 4
    return ", ".join(digits(figures[at : at + size]) for at in range(0, len(figures), size))


def _version(found: re.Match[str]) -> str:
    said = " point ".join(cardinal(part) for part in found["parts"].split("."))
    return f"version {said}" if found["v"] else said


def _ip_address(found: re.Match[str]) -> str:
    return " dot ".join(digits(part) for part in found.group().split("."))


def _hashtag(found: re.Match[str]) -> str:
    words = re.findall(r"[A-Z]{2,}(?![a-z])|[^\W\d_][a-z]*|[0-9]+|[^\W_]+", found["tag"])
    return "hashtag " + " ".join(words)


def joined_rules() -> tuple[Rule, ...]:
    """Addresses, which may begin with any word."""
    version = rule(r"(?P<v>[vV])\.?\s?(?P<parts>[0-9]{1,6}(?:\.[0-9]{1,6}){1,4})(?![\w-])(?!\.[0-9])", _version)
    return (version, email(_SPELLING), url(_SPELLING))


def figure_rules() -> tuple[Rule, ...]:
    """The rules that begin with a number; to be tried before those of `basic`."""
    phone = r"(?![\w-])(?!\.[0-9])"
    return (
        rule(rf"(?:1[ .-])?[2-9][0-9]{{2}}[ .-][0-9]{{3}}[ .-][0-9]{{4}}{phone}", _telephone),
        rule(rf"[0-9]{{4}}(?:[ -][0-9]{{4}}){{2,3}}{phone}", _telephone),
        rule(rf"[2-9][0-9]{{2}}-[0-9]{{4}}{phone}", _telephone, near="-"),
        rule(rf"[3689][0-9]{{3}} [0-9]{{4}}{phone}", _telephone),
        rule(rf"0[0-9]{{1,4}}(?:[ -][0-9]{{2,4}}){{1,4}}{phone}", _telephone),
        rule(rf"[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{phone}", _telephone),
        rule(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.])", _ip_address, near="."),
        rule(r"(?P<v>)(?P<parts>[0-9]{1,6}(?:\.[0-9]{1,6}){2,4})(?![\w-])(?!\.[0-9])", _version, near="."),
        rule(rf"(?P<figures>[0-9]{{7,}}+){END}", _long),
    )


def word_rules() -> dict[str, list[Rule]]:
    """The rules, by the word they begin with."""
    words: dict[str, list[Rule]] = word_rules_for_schemes(_SPELLING)
    for short in _ABBREVIATIONS:
        first = re.match(r"[^\W_]+", short)
        if first:
            written = rule(rf"{re.escape(short)}(?!\w)", _abbreviation, re.IGNORECASE)
            words.setdefault(first.group(), []).append(written)
    for rules in words.values():
        rules.sort(key=lambda each: -len(each.pattern.pattern))  # `w/o` before `w/`
    single = rule(r"(?P<numeral>[IVX])(?![\w'’-]|\.\w)", _roman)
    for letter in "ivx":
        words.setdefault(letter, []).append(single)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        both = rule(r"(?P<first>[A-Z])(?P<link>&)(?P<second>[A-Z])(?!\w)", _joined_acronyms)
        squared = rule(
            r"(?P<name>[a-zA-Z])(?P<power>[²³])(?!\w)",
            lambda found: f"{found['name']} {'squared' if found['power'] == '²' else 'cubed'}",
        )
        words.setdefault(letter, []).append(both)
        for power in "²³":
            words[letter + power] = [squared]
    return words


def capital_rules() -> tuple[Rule, ...]:
    """The rules that begin with two capitals, or a capital and a figure."""
    return (
        rule(r"(?P<numeral>[IVX]{2,7})(?!\w)", _roman),
        rule(r"(?P<first>[A-Z]{2,4})(?P<link>[&/])(?P<second>[A-Z]{1,4})(?![\w/])", _joined_acronyms),
        rule(
            r"(?P<letters>[A-Z]{2,6})(?:['’]?(?P<plural>s)|(?P<figures>-[0-9]{1,3}))?(?!\w)",
            _hyphened_acronym,
        ),
    )


def _hyphened_acronym(found: re.Match[str]) -> str | None:
    """An acronym; one with a number behind (`GPT-4`) only where the number is small."""
    if found["figures"]:
        letters = found["letters"]
        known = letters in _SPELLED or bool(_WITHOUT_VOWEL.fullmatch(letters))
        return f"{spelled(letters)} {cardinal(found['figures'][1:])}" if known and len(letters) <= 5 else None
    return _acronym(found)


def sign_rules() -> dict[str, list[Rule]]:
    """The rules that begin with a mark: sums, hashtags, names with @, telephone numbers with + or (."""
    operand = r"(?=\s?[0-9a-zA-Z(√-])"
    signs: dict[str, list[Rule]] = {
        mark: [rule(rf"(?<=[0-9)] ){re.escape(mark)}(?= [0-9(])", always(word))]
        for mark, word in (("-", "minus"), ("−", "minus"), ("/", "divided by"), ("*", "times"))
    }
    for mark, word in (
        ("+", "plus"),
        ("=", "equals"),
        ("×", "times"),
        ("÷", "divided by"),
        ("≤", "is at most"),
        ("≥", "is at least"),
        ("≠", "is not"),
        ("≈", "is about"),
    ):
        signs[mark] = [
            rule(
                rf"(?:(?<=[\w)²³%])|(?<=[\w)²³%]\s)){re.escape(mark)}{operand}",
                spaced(word),
            )
        ]
    signs["*"].append(rule(r"(?<=[0-9])\*(?=[0-9])", spaced("times")))
    for mark, word in (("<", "is less than"), (">", "is greater than")):
        signs[mark] = [rule(rf"(?<=[0-9a-zA-Z)] ){mark}(?= [0-9a-zA-Z(-])", always(word))]
    signs["√"] = [rule(r"√(?=[0-9a-z(])", always("the square root of "))]
    signs["^"] = [rule(r"(?<=[0-9a-zA-Z)])\^(?P<power>[0-9]{1,3})(?!\w)", _power)]
    signs["&"] = [rule(r"&", spaced("and"))]
    signs["#"] = [rule(r"(?<!\w)#(?P<tag>[^\W\d_]\w{1,60})", _hashtag)]
    signs["@"] = [rule(r"(?<!\w)@(?=[^\W_])", always("at ")), rule(r"(?<=\s)@(?=\s)", always("at"))]
    signs["+"].insert(0, rule(r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{2,5}\)?){1,5}(?![\w-])", _telephone))
    signs["("] = [rule(r"\([0-9]{2,4}\)[ -]?[0-9]{3,4}[ .-][0-9]{3,4}(?![\w-])", _telephone)]
    for mark, word in (("→", "to"), ("©", "copyright"), ("∞", "infinity")):
        signs[mark] = [rule(mark, spaced(word))]
    return signs


def _power(found: re.Match[str]) -> str:
    word = {"2": " squared", "3": " cubed"}.get(found["power"])
    return word or f" to the power of {cardinal(found['power'])}"
