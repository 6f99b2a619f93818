"""How long a voice rests behind a piece of text, by the punctuation it ends in. Pure."""

_PAUSES_MS = {",": 100, ";": 180, ":": 180, ".": 260, "!": 260, "?": 260, "…": 320}
_WIDE = str.maketrans("。！？；：，、።፤፥፣؟؛،।", ".!?;:,,.;:,?;,.")
_CLOSERS = "\"'”’»)]}）」』】》〉*_ \t\r\n"
_PLAIN_MS = 60


def end_mark(text: str) -> str:
    """The last character of a text, closing quotes and brackets aside, wide punctuation as its ASCII counterpart."""
    return text.rstrip(_CLOSERS)[-1:].translate(_WIDE)


def pause_ms(piece: str) -> int:
    """The pause behind a piece of text at normal speed, on top of the silence that a voice leaves behind its sound."""
    return _PAUSES_MS.get(end_mark(piece), _PLAIN_MS)
