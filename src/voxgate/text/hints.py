"""Which words of a biasing text are worth listening for."""

import re
import unicodedata

MAX_TERM_WORDS = 5
"""A longer item of a list is a sentence, and only its names are terms."""
_MAX_TERM_CHARACTERS = 60

_ITEMS = re.compile(r"[,;\n\r\t|、，；]+")
_WORD = re.compile(r"[^\W_]+(?:[-'’.&][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?。！？:]\s*$")


def hint_terms(prompt: str, most: int) -> tuple[str, ...]:
    """The first `most` terms of a prompt, in its order and spelling, each once.

    A list (`Voxgate, Ojukwu; New York`) is its items. Of a sentence only words that carry information about spelling
    are terms: those with a capital or a digit inside, and capitalised ones that do not merely begin the sentence.
    """
    text = "".join(c if c.isspace() or not unicodedata.category(c).startswith("C") else " " for c in prompt)
    items = [item.strip() for item in _ITEMS.split(text)]
    terms: list[str] = []
    for item in items:
        words = _WORD.findall(item)
        if not words:
            continue
        if len(words) <= MAX_TERM_WORDS and (len(items) > 1 or len(words) == 1):
            terms.append(" ".join(words))
        else:
            terms.extend(_names(item))
    unique = dict.fromkeys(term for term in terms if len(term) <= _MAX_TERM_CHARACTERS)
    return tuple(unique)[:most]


def _names(sentence: str) -> list[str]:
    """Words whose spelling a recognizer could not guess; neighbours that are capitalised belong together."""
    names: list[str] = []
    run: list[str] = []
    end = 0
    for match in _WORD.finditer(sentence):
        word = match.group()
        begins = match.start() == 0 or bool(_SENTENCE_END.search(sentence[: match.start()]))
        odd = any(c.isupper() for c in word[1:]) or any(c.isdigit() for c in word)
        is_name = odd or (word[0].isupper() and not begins)
        if run and (not is_name or sentence[end : match.start()] != " "):
            names.append(" ".join(run))
            run = []
        if is_name:
            run.append(word)
        end = match.end()
    return [*names, " ".join(run)] if run else names
