"""The rulebooks of English: `basic`, `advanced`, and both again with the day before the month."""

from collections.abc import Mapping, Sequence

from voxgate.text import normalize_english_amounts as amounts
from voxgate.text import normalize_english_dates as dates
from voxgate.text import normalize_english_names as names
from voxgate.text import normalize_english_text as beyond
from voxgate.text.normalize_rules import Rule, Rulebook, merged


def rulebook(*, advanced: bool, day_first: bool) -> Rulebook:
    """English at one level; `day_first`: 3/4 is the third of April, as everywhere but in the United States."""
    figures = (*dates.figure_rules(day_first=day_first), *amounts.figure_rules())
    words: Sequence[Mapping[str, Sequence[Rule]]] = (names.word_rules(), dates.word_rules(), amounts.word_rules())
    if not advanced:
        return Rulebook(
            figures, words=merged(*words), capitals=(amounts.CODED_MONEY, amounts.MONEY), signs=amounts.sign_rules()
        )
    return Rulebook(
        (*beyond.figure_rules(), *figures),
        words=merged(*words, beyond.word_rules()),
        joined=beyond.joined_rules(),
        capitals=(amounts.CODED_MONEY, amounts.MONEY, *beyond.capital_rules()),
        signs=merged(beyond.sign_rules(), amounts.sign_rules()),
    )
