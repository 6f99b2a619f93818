"""What is corrected in English text besides numbers: fillers, stutters, spelling, capitals. Pure.

Each pass looks at the text and says what to change. A pass that is not sure changes nothing: a word that was left
costs the reader a glance, a word that was taken away is lost.
"""

import re
from collections.abc import Iterator

from voxgate.text.correct_edits import Edit, replaced

# fillers

_HESITATION = r"(?:[Uu]m+|[Uu]h+m*|[Ee]rm+|[Ee]r)(?![\w'’-])(?! (?:huh|oh|uh)\b)"  # UM and ER are abbreviations
_FILLER = re.compile(
    rf"(?P<left>^|(?P<lcomma>,|\.\.\.|…| [-–—])? )"
    rf"(?:{_HESITATION}(?:(?:,|\.\.\.|…)? {_HESITATION})*|(?<=, )(?P<known>you know)(?=,))"
    rf"(?P<right>(?P<rcomma>,|\.\.\.|…| [-–—])(?= |$)|(?P<stop>[.?!]+)(?= |$)|(?= |$))"
)
_NOT_AFTER = frozenset("word words sound sounds uh huh".split())
"""`the word um` speaks about the filler; `uh uh` is an answer."""
_OPEN_ENDED = frozenset(
    "the a an my your our their his her its this these some any no every each i you we he they who to of in on at for "
    "with from by about into like as than if when because that which is was are were am be been being it's that's "
    "i'm you're we're they're he's she's i've we've i'll we'll i'd do does did don't didn't can could would should "
    "will may might must have has had and but or very really quite just too more most want wants wanted need needs "
    "needed get gets got take takes took make makes made give gives gave buy bought see saw find found use used".split()
)
"""Behind these words no comma can stand: the commas were only the filler's."""
_LAST_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*\Z")
_FIRST_WORD = re.compile(r"\s*([^\W_]+(?:['’][^\W_]+)*)")
_SEEN = 200
"""Characters on either side that are looked at for the rest of the sentence: keeps the work linear."""


def fillers(text: str, *, final_uh: bool = True) -> Iterator[Edit]:
    """`um`, `uh`, `erm`, `er`, and `you know` between commas, with the commas that were theirs.

    `uh-huh`, `uh-oh`, `ah`, `hmm`, `mm` are answers and stay; so do `I mean` (it corrects what was said) and `like`.
    A text of nothing but fillers stays. `final_uh` false keeps `uh` at the end of a sentence: a Singlish particle.
    """
    found = [edit for match in _FILLER.finditer(text) if (edit := _filler(text, match, final_uh)) is not None]
    if found and any(character.isalnum() for character in replaced(text, found)):
        yield from found


def _filler(text: str, match: re.Match[str], final_uh: bool) -> Edit | None:
    start, end = match.span()
    before = text[max(0, start - _SEEN) : start]
    after = text[end : end + _SEEN]
    last = _LAST_WORD.search(before, before.rfind(" ") + 1)
    previous = last.group().lower() if last else ""
    if previous in _NOT_AFTER:
        return None
    stop = match["stop"] or ("." if not after.strip() else "")
    if match["lcomma"] is None and (not before.strip() or before.rstrip()[-1] in ".?!"):
        if match["stop"] not in (None, ".", "..."):
            return None
        lead = start + len(match["left"])
        return Edit(lead, end + (1 if text[end : end + 1] == " " else 0), "", "filler")
    if not last:
        return None
    if stop:
        if not final_uh and match.group().lower().rstrip(".?!").endswith(" uh"):
            return None
        return Edit(start, match.start("right") if match["stop"] else end, "", "filler")
    if match["rcomma"] is None:
        return Edit(start + len(match["left"]) - 1, end, "", "filler")
    if _comma_stays(before, previous, after):
        return Edit(start, end, ",", "filler")
    return Edit(start, end, "", "filler")


def _comma_stays(before: str, previous: str, after: str) -> bool:
    """Whether one of the two commas around a filler stays: unless it would tear apart what belongs together.

    A word that is said again behind the filler keeps its comma: `it was, um, it was late`.
    """
    following = _FIRST_WORD.match(after)
    if following and following.group(1).lower() in before.lower().replace(",", " ").split()[-3:]:
        return True
    return previous not in _OPEN_ENDED


# stutters

_NEVER_DOUBLE = (
    "the|a|an|and|or|but|your|our|their|because|I|we|she|they|I'm|I've|I'll|I'd|it's|he's|she's|that's|you're|we're|"
    "we've|they're|there's"
)
"""Words that stand twice in a row in no sentence. `had had`, `that that`, `is is`, `in in`, `to to`, `it it`,
`you you` do; `very very`, `no no`, `so so`, `can can`, `he he` are meant."""
_DETERMINER = r"(?:the|a|an|my|your|our|their)"
_PREPOSITION = r"(?:in|of|to|on|at|for|from|with|by|into|about)"
_REPEATED = re.compile(
    rf"\b(?<!['’-])({_NEVER_DOUBLE}|{_PREPOSITION} {_DETERMINER})((?:,? \1)+)(?![\w'’-])", re.IGNORECASE
)
_CUT_OFF = re.compile(r"(?<![\w'’-])([A-Za-z][a-z]?)- (?=([A-Za-z]+))")


def repetitions(text: str) -> Iterator[Edit]:
    """`the the`, `I, I`, `in the in the`: said once. Names (`The The`) and grades (`an A a day`) stay."""
    for match in _REPEATED.finditer(text):
        first, rest = match[1], match[2]
        says_i = first[0] == "I" and (len(first) == 1 or first[1] == "'")
        if (rest == rest.lower() or says_i) and (first != "A" or _begins(text, match.start())):
            yield Edit(*match.span(2), "", "repetition")


def cut_offs(text: str) -> Iterator[Edit]:
    """`th- the`, `I- I`: a word that was broken off and begun again."""
    if "- " not in text:
        return
    for match in _CUT_OFF.finditer(text):
        piece, word = match.groups()
        small = piece.islower() or piece == "I" or _begins(text, match.start())
        if small and word.lower().startswith(piece.lower()):
            yield Edit(*match.span(), "", "repetition")


def _begins(text: str, at: int) -> bool:
    """Whether a sentence begins at `at`."""
    before = text[max(0, at - 4) : at].rstrip()
    return at == 0 or (not before and at <= 4) or before[-1:] in (".", "?", "!")


# spelling

_NEGATED = "do|does|did|is|was|could|would|should|have|has|had|are|were"
_SPELLINGS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("morrow", re.compile(r"(?<![\w-])([Tt])o[- ](morrow)(?![\w-])"), r"\1o\2"),
    ("o-night", re.compile(r"(?<![\w-])([Tt])o-(night)(?![\w-])"), r"\1o\2"),
    ("o-day", re.compile(r"(?<![\w-])([Tt])o-(day)(?![\w-])"), r"\1o\2"),
    (" mail", re.compile(r"(?<![\w'’-])([Ee]) mail(s|ed|ing)?(?![\w-])"), r"\1mail\2"),
    ("lot", re.compile(r"(?<![\w'’-])([Aa])lot(?![\w'’-])"), r"\1 lot"),
    ("nt", re.compile(rf"(?<![\w'’-])({_NEGATED})nt(?![\w'’-])", re.IGNORECASE), r"\1n't"),
    (" m", re.compile(r"(?<=\d)( [ap]) m(?![\w'’-])"), r"\1m"),
    ("clock", re.compile(r"(?<=[a-z] )o ?clock(?![\w'’-])"), "o'clock"),
)
"""Letters that must be there (looked for first: it is fast), what is wrong, what is right."""
_LETTERS = re.compile(r"(?<![\w'’.-])[A-Z](?:( |-)[A-Z])(?:\1[A-Z])+(?![\w'’-]|\.\w)")
_PAIRS = re.compile(r"(?<![\w'’.-])(?:T V|U K|U S|P C|C D|D J|Q R|H R|I D)(?! [A-Z]\b)(?![\w'’-])")
_TAIL_IS_WORD = re.compile(
    r" (?:am|think|want|need|have|had|was|will|can|know|guess|would|could|like|don|did|do|see)\b"
)


def spellings(text: str) -> Iterator[Edit]:
    """Old and broken spellings (`to-morrow`, `E mail`, `dont`), and names that were spelled out (`V O X`)."""
    edits = []
    for letters, pattern, new in _SPELLINGS:
        for match in pattern.finditer(text) if letters in text else ():
            joined = match.expand(new)
            if joined.startswith("Email") and not _begins(text, match.start()):
                joined = joined.lower()
            edits.append(Edit(*match.span(), joined, "spelling"))
    for match in _LETTERS.finditer(text):
        start, end = match.span()
        if text[end - 1] in "IA" and _TAIL_IS_WORD.match(text, end):
            end -= 2
        joined = re.sub("[ -]", "", text[start:end])
        if len(joined) > 2 and not (joined[0] == "A" and joined[1] != "B" and _begins(text, start)):
            edits.append(Edit(start, end, joined, "spelling"))
    for match in _PAIRS.finditer(text):
        if not any(e.start < match.end() and e.end > match.start() for e in edits):
            edits.append(Edit(*match.span(), match.group().replace(" ", ""), "spelling"))
    yield from sorted(edits)


# capitals

_PROPER = {
    name.lower(): name
    for name in (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mondays Tuesdays Wednesdays Thursdays Fridays "
        "Saturdays Sundays January February April June July September October November December Christmas English "
        "Vietnamese Japanese Korean Singlish Singapore Singaporean Malaysia Malaysian Vietnam American British "
        "European Australian Indonesian Thailand Indonesia Australia YouTube Facebook WhatsApp LinkedIn iPhone iPad "
        "ChatGPT GitHub JavaScript PayPal Netflix Voxgate"
    ).split()
}
"""Words that are written with these capitals wherever they stand. Not here: may, march, august, china, polish, sun."""
_BRANDS = frozenset(name for name in _PROPER.values() if name[0].islower() or not name[1:].islower())
_LETTERS_ONLY = re.compile(r"[a-z]+")
_WORD = re.compile(r"(?<![\w'’-])[A-Za-z]+(?![\w-])")
_PRONOUN = re.compile(r"(?<![\w'’.(\-])i(?=$|[ ,?!;:]|\.(?!\w|\s\w\.)|['’](?:m|ve|ll|d|s)\b)")
_SENTENCE = re.compile(r"(?:^|(?P<stop>[.?!])[\"”’)]* )[\"“‘]?(?P<word>[^\W\d_]++)")
_ABBREVIATED = re.compile(
    r"(?:\.\.|…|\b(?:[A-Za-z]|mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|approx|no|jr|sr|inc|ltd|co|corp|dept|est|fig|"
    r"gen|sgt|capt|lt|col|rev|hon|gov|sen|rep|ave|blvd|rd|[ap]\.m|jan|feb|mar|apr|aug|sept?|oct|nov|dec))\Z",
    re.IGNORECASE,
)


def capitals(text: str, *, continues: bool = False) -> Iterator[Edit]:
    """Sentence beginnings, `I`, days, months, and names that are always written one way.

    `continues`: the text goes on with a sentence that began before it, so its first word may be small.
    """
    wanted: dict[tuple[int, int], str] = {}
    for match in _PRONOUN.finditer(text):
        wanted[match.span()] = "I"
    named = not _PROPER.keys().isdisjoint(_LETTERS_ONLY.findall(text.lower()))
    for match in _WORD.finditer(text) if named else ():
        word = match.group()
        name = _PROPER.get(word.lower())
        odd = name in _BRANDS and word in (word.lower(), word.lower().capitalize())
        if name is not None and name != word and (word.islower() or odd):
            wanted[match.span()] = name
    for match in _SENTENCE.finditer(text):
        span = match.span("word")
        if match["stop"] is None:
            if continues:
                continue
        elif match["stop"] == "." and _ABBREVIATED.search(text[max(0, match.start() - 8) : match.start()]):
            continue
        word = match["word"]
        if word[0].islower() and span not in wanted and not any(c.isupper() for c in word):
            wanted[span] = word[0].upper() + word[1:]
    for (start, end), new in sorted(wanted.items()):
        yield Edit(start, end, new, "casing")
