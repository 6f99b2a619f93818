"""Whether what somebody has said so far sounds finished, by how its words end.

Pure rules for English and Vietnamese, and punctuation for every language. They answer `UNKNOWN` wherever they are not
sure: a turn that is cut off costs the speaker a sentence, one that ends late a third of a second. A full stop says
nothing: recognizers set it behind whatever they were given (Moonshine and Whisper both do, also in mid-sentence).
"""

import re
from enum import StrEnum

from voxgate.text.pauses import end_mark
from voxgate.text.words import comparable


class Ending(StrEnum):
    """How words end."""

    COMPLETE = "complete"
    """A question, an answer, a thank you: nothing needs to follow."""
    OPEN = "open"
    """Something must follow: an article, a conjunction, half a telephone number."""
    UNKNOWN = "unknown"


def ending(text: str, language: str) -> Ending:
    """How `text`, a running transcript in `language` (a BCP-47 tag), ends."""
    words = comparable(text)
    if not words:
        return Ending.UNKNOWN
    number = _number(text, words)
    if number is not None:
        return number
    mark = end_mark(text)
    if text.rstrip().endswith(("...", "…", "-", "–", "—")) or mark in ",;:":
        return Ending.OPEN
    rules = {"en": _english, "vi": _vietnamese}.get(language.split("-")[0])
    if rules is not None:
        return rules(words, mark == "?")
    return Ending.COMPLETE if mark == "?" else Ending.UNKNOWN


# English

_ALWAYS_OPEN = frozenset(
    "the a an my your our their its every each and but or because if when while although though unless until whether "
    "than as of into onto between against towards toward um uh er erm hmm mr mrs ms dr im youre hes were theyre ive "
    "weve youve theyve ill shall gonna wanna lets dont doesnt didnt cant couldnt wouldnt such".split()
)
"""Behind these words every sentence goes on. (`I'm` and `don't` as `comparable` writes them.)"""
_OPEN_UNLESS_ASKED = frozenset("to with from for at about like i we they he she who which where what how why".split())
"""Behind these a statement goes on; a question may end in them (`Who is it for?`, `How are they?`)."""
_AUXILIARIES = frozenset(
    "is are was were am be been being do does did have has had can could will would should may might must".split()
)
_ANSWERING = frozenset("i you he she it we they there that this so not who".split())
"""Subjects whose auxiliary may end an answer: `Yes, I can`, `I think it is`."""
_TO_ANSWER = frozenset("love like glad happy".split())
"""`I'd love to` may be an answer, `I want to` goes on."""
_LEFT_HANGING = frozenset(
    "i think|i mean|you know|tell me|show me|give me|can you|could you|would you|i want|i need".split("|")
)
"""Last two words that rarely end anything, question mark or not: a recognizer hears `Can you?` in a pause."""
_LAST_WORDS = frozenset("please thanks goodbye bye".split())
_LAST_PAIRS = frozenset("thats it|thats all|thank you|never mind|no thanks|not now".split("|"))
_ASKING = frozenset("what who whom whose where when why how which".split())
"""First words of a question, for recognizers that write no question mark."""
_ANSWERS = frozenset(
    "yes|no|yeah|yep|nope|ok|okay|sure|exactly|correct|right|hello|hi|hey|stop|of course|i dont know|im not sure|"
    "not really|not yet|maybe|yes please|no thank you|go ahead|sounds good|thats right|thats fine|i do|i dont".split(
        "|"
    )
)


def _english(words: tuple[str, ...], asks: bool) -> Ending:
    last, pair = words[-1], " ".join(words[-2:])
    said = " ".join(words)
    if said in _ANSWERS or last in _LAST_WORDS or pair in _LAST_PAIRS:
        return Ending.COMPLETE
    if last in _ALWAYS_OPEN:
        return Ending.OPEN
    if pair in _LEFT_HANGING:
        return Ending.UNKNOWN if asks else Ending.OPEN
    if asks:
        return Ending.COMPLETE
    before = words[-2] if len(words) > 1 else ""
    if last in _AUXILIARIES:
        return Ending.UNKNOWN if before in _ANSWERING else Ending.OPEN
    if last == "to" and before in _TO_ANSWER:
        return Ending.UNKNOWN
    if last == "so":
        return Ending.UNKNOWN if before in {"think", "hope", "guess", "suppose", "said"} else Ending.OPEN
    asking = words[0] in _ASKING
    return Ending.OPEN if last in _OPEN_UNLESS_ASKED and len(words) > 1 and not asking else Ending.UNKNOWN


# Vietnamese

_VI_OPEN = frozenset(
    "và nhưng hoặc vì nếu để của cho với ở tại từ là thì mà rằng bởi những các một mỗi rất đang sẽ đã vẫn cũng muốn "
    "cần bị ờm ừm ờ khi trong trên dưới như còn số".split()
)
"""Behind these a statement goes on."""
_VI_ASKED = frozenset("không chưa nhé nhỉ hả hở nha ạ à đâu gì nào sao thôi".split())
"""Particles and question words that stand last. (`không` last asks; behind a subject it denies, and goes on.)"""
_VI_SUBJECTS = frozenset("tôi em anh chị bạn mình nó họ ta".split())
_VI_CLOSING = frozenset(
    "cảm ơn|cám ơn|tạm biệt|bao nhiêu|bao lâu|thế nào|như nào|được không|mấy giờ|bao giờ|khi nào|vì sao|tại sao|là ai|"
    "đúng rồi|được rồi|xong rồi".split("|")
)
_VI_ANSWERS = frozenset(
    "vâng|dạ|dạ vâng|có|không|rồi|đúng|ừ|được|chào|xin chào|alo|dạ không|dạ có|tôi không biết".split("|")
)


def _vietnamese(words: tuple[str, ...], asks: bool) -> Ending:
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if " ".join(words) in _VI_ANSWERS or f"{before} {last}" in _VI_CLOSING or asks:
        return Ending.COMPLETE
    if last in {"không", "chưa"} and before in _VI_SUBJECTS:
        return Ending.OPEN
    if last in {"muốn", "cần"} and before == "không":
        return Ending.UNKNOWN
    if last in _VI_ASKED:
        return Ending.COMPLETE
    return Ending.OPEN if last in _VI_OPEN else Ending.UNKNOWN


# numbers

_DIGITS = frozenset(
    "zero one two three four five six seven eight nine oh double triple "
    "không một hai ba bốn năm sáu bảy tám chín lẻ linh".split()
)
_ASKS_NUMBER = re.compile(
    r"\b(?:(?P<long>phone|telephone|mobile|cell|call me|reach me|account|card|điện thoại|di động|tài khoản)"
    r"|(?P<short>code|zip|postcode|pin|extension|mã|mật khẩu))\b",
    re.IGNORECASE,
)
_LONG, _SHORT, _WHOLE = 7, 4, 10
"""Digits: the shortest telephone number without its area code, the shortest code, and a number with its area code (ten
digits in North America and for Vietnamese mobiles; ITU-T E.164 allows fifteen)."""
_GROUPS = 3
"""Groups of digits in a row that are dictated rather than counted: `five five five`, `555 12 34`."""


def _number(text: str, words: tuple[str, ...]) -> Ending | None:
    """What a number at the end says; None where there is none, or where it is no more than a quantity or a year."""
    groups = 0
    digits = 0
    for word in reversed(words):
        if not (word.isdecimal() or word in _DIGITS):
            break
        groups += 1
        digits += len(word) if word.isdecimal() else 1
    asked = _ASKS_NUMBER.search(text)
    spoken = groups == 1 and not words[-1].isdecimal()  # "one", "không": a word like others
    if groups == 0 or (groups < _GROUPS and (asked is None or spoken)):
        return None
    fewest = _SHORT if asked is not None and asked["short"] else _LONG
    if digits < fewest:
        return Ending.OPEN
    return Ending.COMPLETE if digits >= _WHOLE else Ending.UNKNOWN
