"""What is drawn, not said: markdown, HTML, emoji and ornament leave a text; their words stay. For every language.

Emoji are dropped rather than named: a voice that says "party popper" in the middle of a sentence is what people switch
off. Code keeps its words. Nothing here depends on the language.
"""

import re
from html import unescape

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n?", re.MULTILINE)
_RULER = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$\n?", re.MULTILINE)
_TABLE_RULER = re.compile(r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+(?:[ \t]*:?-{2,}:?)?[ \t]*$\n?", re.MULTILINE)
_TABLE_ROW = re.compile(r"^[ \t]*\|(?P<cells>[^\n]*)\|[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(?P<title>[^\n]*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:(?:>|[-*+•‣▪◦–](?=[ \t]))[ \t]*)++(?:\[[ xX]\][ \t]+)?", re.MULTILINE)
_TARGET = re.compile(r"\](?:\([^()\s]{0,2000}(?:\s\"[^\"\n]{0,200}\")?\)|\[[^\[\]\n]{0,100}\])")
"""Where a link or a picture leads: said by nobody. Its text stands before it, between the brackets that go too."""
_BRACKETS = re.compile(r"!?\[+|\]+")
_FOOTNOTE = re.compile(r"\[\^[\w-]{1,40}\]:?|(?<=[\w.,!?])\[[0-9]{1,3}\]")
_AUTO_LINK = re.compile(r"<((?:https?://|mailto:)?[^\s<>@]{1,300}[@.:/][^\s<>]{1,300})>")
_UNSAID_ELEMENT = re.compile(r"<(?P<tag>script|style)\b[^<>]{0,300}>.{0,20000}?</(?P=tag)>", re.IGNORECASE | re.DOTALL)
_BREAK_TAG = re.compile(r"</?(?:br|p|div|li|ul|ol|h[1-6]|tr|table|section)(?:\s[^<>]{0,1000})?/?>", re.IGNORECASE)
_TAG = re.compile(
    r"</?[a-z][a-z0-9:-]{0,30}(?:\s[^<>]{0,1000})?/?>|<!--[^<>]{0,2000}-->|<!doctype[^<>]{0,100}>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:amp;)*(?P<name>[a-zA-Z]{2,10}|#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,5});")
_STARS = re.compile(r"(?<![0-9] )(?<![0-9])\*+|\*{2,}|\*(?![ ]?[0-9])")
_UNDERSCORES = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])|_{2,}")
_INNER_UNDERSCORE = re.compile(r"(?<=[^\W_])_(?=[^\W_])")
_ADDRESS = re.compile(r"[@/]|\.\w")
_TICKS = re.compile(r"`+|~~+")
_EMOJI = re.compile(
    "[0-9#*]\ufe0f?\u20e3"
    "|[\U0001f000-\U0001faff\U0001fb00-\U0001fbff\U000e0020-\U000e007f\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff"
    "\u200d\ufe0e\ufe0f\u20e3\u2122\u00ae\u25a0-\u25ff\u2500-\u257f\u3030\u303d\u3297\u3299]+"
)
"""Emoji, dingbats, boxes and shapes, with what joins and colours them (Unicode 17, emoji-data.txt)."""
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_LAUGHING_FACE = re.compile(r"(?<![\w)])(?:[:;=]'?-?[)(DPp|/\\*]|<3|:-?[oO])(?!\w)")
_MANY_MARKS = re.compile(r"[!?](?:\s*+[!?])+")
_STOPS = re.compile(r"[.…]{2,}")
_MANY_COMMAS = re.compile(r"([,;:])(?:\s*+\1)+")
_DASHES = re.compile(r"[ \t]*[-—–_=]{2,}[ \t]*")
_SPACES = re.compile(r"[ \t\xa0]{2,}")
_SPACE_BEFORE_MARK = re.compile(r"[ \t]+(?=[,.;:!?](?:\s|\Z))")
_BLANK_LINES = re.compile(r"[ \t]*\n\s*\n[ \t]*|[ \t]+\n[ \t]*|\n[ \t]+")


def plain(text: str) -> str:
    """The words of a marked-up text, not yet tidied. Line ends stay where they separate: they are pauses.

    Time is in proportion to the text, whatever is in it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _SPACES.sub(" ", _INVISIBLE.sub("", text))  # first: what follows may then look for spaces from any place
    if "<" in text:
        text = _without_tags(text)
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    text = _FENCE.sub("", text)
    text = _TABLE_RULER.sub("", text)
    text = _RULER.sub("", text)
    text = _TABLE_ROW.sub(_row, text)
    text = _HEADING.sub(lambda found: _as_sentence(found["title"]), text)
    text = _BULLET.sub("", text)
    if "[" in text or "]" in text:
        text = _FOOTNOTE.sub("", text)
        text = _BRACKETS.sub(" ", _TARGET.sub("]", text))
    text = _EMOJI.sub(_glyph, text)
    text = _LAUGHING_FACE.sub("", text)
    text = _TICKS.sub("", text)
    text = _STARS.sub("", text)
    if "_" in text:
        text = _UNDERSCORES.sub("", text)
        text = re.sub(r"\S+", _snake, text)
    return text


def _character(found: re.Match[str]) -> str:
    """What an entity stands for; a bracket only where it compares, or it would make a tag of what it quotes."""
    said = unescape(f"&{found['name']};")
    if said not in "<>":
        return said
    text = found.string
    apart = text[found.start() - 1 : found.start()] == " " == text[found.end() : found.end() + 1]
    return said if apart else " "


def _without_tags(text: str) -> str:
    text = _AUTO_LINK.sub(lambda found: found.group(1).removeprefix("mailto:"), text)
    text = _UNSAID_ELEMENT.sub("", text)
    text = _BREAK_TAG.sub("\n", text)
    return _TAG.sub("", text)


def _row(found: re.Match[str]) -> str:
    cells = [cell.strip() for cell in found["cells"].split("|")]
    return _as_sentence(", ".join(cell for cell in cells if cell))


def _as_sentence(line: str) -> str:
    """A heading or a row with a stop behind it, or the next line would be read on as the same sentence."""
    line = line.strip()
    return f"{line}." if line and line[-1].isalnum() else line


def _glyph(found: re.Match[str]) -> str:
    """Nothing; of a keycap its figure."""
    return found.group()[0] if "\u20e3" in found.group() and found.group()[0].isdigit() else ""


def _snake(found: re.Match[str]) -> str:
    """`snake_case` in two words; an address keeps its underscores, which are said."""
    word = found.group()
    return word if "_" not in word or _ADDRESS.search(word) else _INNER_UNDERSCORE.sub(" ", word)


def tidy(text: str) -> str:
    """Marks that came to stand together, and the spaces around what is gone. Doing it twice changes nothing."""
    text = _DASHES.sub(lambda found: ", " if found.start() and found.end() < len(text) else " ", text)
    text = _MANY_MARKS.sub(lambda found: "?" if "?" in found.group() else "!", text)
    text = _MANY_COMMAS.sub(r"\1", text)
    text = _SPACES.sub(" ", text)
    text = _SPACE_BEFORE_MARK.sub("", text)
    text = _STOPS.sub(lambda found: "..." if "…" in found.group() or len(found.group()) > 3 else found.group(), text)
    return _BLANK_LINES.sub("\n", text).strip()
