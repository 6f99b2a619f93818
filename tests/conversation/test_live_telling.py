from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.finals import TranscriptionRequest, Wording
from voxgate.conversation.live_telling import Said, Telling, Told
from voxgate.domain import FinalHeard, Guess, LanguageContradicted, PartialHeard, Transcript


def telling(*, partials: bool = True, correct: bool = False) -> Telling:
    return Telling(Wording(TranscriptionRequest(correct=correct)), partials=partials)


def short(events: list[Told]) -> list[tuple[str, int | str, str]]:
    found: list[tuple[str, int | str, str]] = []
    for event in events:
        match event:
            case PartialHeard():
                found.append(("partial", event.segment, event.text))
            case FinalHeard():
                found.append(("final", event.segment, event.heard.text))
            case LanguageContradicted():
                found.append(("contradicted", event.guess.language, ""))
    return found


class Session:
    """Segments as a session makes them, and all that was told."""

    def __init__(self, **settings: bool) -> None:
        self.telling = telling(**settings)
        self.told: list[Told] = []

    def begin(self, number: int, start: int = 0) -> Said:
        said = Said(start, until=start)
        self.telling.begin(number, said)
        return said

    def show(self, said: Said, text: str) -> None:
        said.text, said.until, said.language = text, said.start + 50, "en"
        self.told += self.telling.news()

    def hear(self, said: Said, text: str) -> None:
        said.end, said.heard = said.start + 100, Transcript(text, "en")
        said.language = "en"
        self.told += self.telling.news()

    def complete(self, number: int, *, owed: bool = False) -> None:
        self.told += self.telling.complete(number, 500, owed=owed, language="en")

    @property
    def short(self) -> list[tuple[str, int | str, str]]:
        return short(self.told)


def test_partials_then_the_final() -> None:
    session = Session()
    said = session.begin(0, 1000)
    session.show(said, "one ")
    session.show(said, "one")
    session.show(said, "one two")
    said.end = 1100
    session.complete(0)
    session.hear(said, "one two.")
    assert session.short == [("partial", 0, "one"), ("partial", 0, "one two"), ("final", 0, "one two.")]
    first, final = session.told[0], session.told[-1]
    assert isinstance(first, PartialHeard)
    assert (first.start, first.end, first.language) == (1000, 1050, "en")
    assert isinstance(final, FinalHeard)
    assert (final.heard.start, final.heard.end) == (1000, 1100)


def test_finals_are_told_in_order_and_partials_wait_for_them() -> None:
    session = Session()
    first = session.begin(0)
    session.complete(0)
    second = session.begin(1, 1000)
    session.show(second, "two")
    session.show(second, "two and")
    session.hear(second, "two and a half")
    session.complete(1)
    session.show(session.begin(2, 2000), "three")
    assert session.told == []
    session.hear(first, "one")
    assert session.short == [("final", 0, "one"), ("final", 1, "two and a half"), ("partial", 2, "three")]


def test_who_waits_gets_a_final_whatever_was_said() -> None:
    session = Session()
    session.complete(0, owed=True)
    said = session.begin(1, 200)
    session.hear(said, "")
    session.complete(1, owed=True)
    assert session.short == [("final", 0, ""), ("final", 1, "")]
    first, second = (event.heard for event in session.told if isinstance(event, FinalHeard))
    assert (first.start, first.end, first.language) == (500, 500, "en")
    assert (second.start, second.end, second.raw) == (200, 300, "")


def test_a_segment_that_says_nothing_takes_its_partials_back() -> None:
    session = Session()
    shown = session.begin(0)
    session.show(shown, "maybe")
    session.hear(shown, "")
    session.complete(0)
    session.hear(session.begin(1, 1000), " ")
    session.complete(1)
    assert session.short == [("partial", 0, "maybe"), ("partial", 0, "")]


def test_the_pieces_of_a_segment_are_one() -> None:
    session = Session(correct=True)
    first, second = session.begin(0), session.begin(0, 1000)
    session.show(first, "um, we go to the")
    session.show(second, "the store on monday")
    session.hear(second, "store on monday.")
    session.hear(first, "um, we go to the")
    assert session.telling.pending == 0
    session.complete(0, owed=True)
    assert session.short == [
        ("partial", 0, "um, we go to the"),
        ("partial", 0, "um, we go to the the store on monday"),
        ("partial", 0, "um, we go to the store on monday."),
        ("final", 0, "We go to the store on Monday."),
    ]
    last = session.told[2]
    assert isinstance(last, PartialHeard)
    assert (last.start, last.end) == (0, 1100)
    final = session.told[-1]
    assert isinstance(final, FinalHeard)
    assert final.heard.raw == "um, we go to the store on monday."


def test_a_piece_of_which_nothing_is_known_covers_nothing() -> None:
    session = Session()
    first = session.begin(0)
    session.begin(0, 1000)
    session.show(first, "one")
    (event,) = session.told
    assert isinstance(event, PartialHeard)
    assert event.end == 50


def test_partials_can_be_off() -> None:
    session = Session(partials=False)
    said = session.begin(0)
    session.show(said, "one")
    session.hear(said, "")
    session.complete(0)
    assert session.told == []


def test_a_contradiction_is_told_after_the_segment_that_brought_it() -> None:
    session = Session()
    first = session.begin(0)
    session.complete(0)
    second = session.begin(1, 1000)
    session.complete(1)
    session.hear(second, "two")
    session.told += session.telling.contradict(second, Guess("vi", 0.9))
    assert session.told == []
    session.hear(first, "one")
    assert session.short == [("final", 0, "one"), ("final", 1, "two"), ("contradicted", "vi", "")]


def test_a_contradiction_of_what_has_been_told_is_told_at_once() -> None:
    session = Session()
    said = session.begin(0)
    session.complete(0)
    session.hear(said, "one")
    session.told += session.telling.contradict(said, Guess("vi", 0.9))
    assert session.short[-1] == ("contradicted", "vi", "")


def test_what_is_pending() -> None:
    session = Session()
    said = [session.begin(0, number * 1000) for number in range(3)]
    assert session.telling.pending == 0
    for each in said[:2]:
        each.end = each.start + 100
    assert session.telling.pending == 2
    session.hear(said[1], "two")
    assert session.telling.pending == 1
    for number in (0, 1, 2):
        session.complete(number, owed=True)
    assert session.telling.pending == 3


@given(st.data())
def test_whatever_the_order_of_things_segments_are_told_one_after_the_other(data: st.DataObject) -> None:
    session = Session()
    begun: list[tuple[int, Said]] = []
    owed: dict[int, bool] = {}
    number = 0
    for step in range(data.draw(st.integers(0, 40))):
        choices = ["begin", "complete"] + ["show", "hear"] * bool(begun)
        match data.draw(st.sampled_from(choices)):
            case "begin":
                begun.append((number, session.begin(number, step * 1000)))
            case "complete":
                for which, said in begun:
                    if which == number and said.end is None:
                        said.end = said.start + 100
                owed[number] = data.draw(st.booleans())
                session.complete(number, owed=owed[number])
                number += 1
            case "show":
                said = data.draw(st.sampled_from(begun))[1]
                if said.heard is None:
                    session.show(said, data.draw(st.sampled_from(["a", "a b", "c"])))
            case "hear":
                said = data.draw(st.sampled_from(begun))[1]
                if said.heard is None:
                    session.hear(said, data.draw(st.sampled_from(["", "a", "a b"])))
    if any(which == number for which, _ in begun):
        session.complete(number)
        owed[number] = False
    for _, said in begun:
        if said.heard is None:
            session.hear(said, "z")
    assert session.telling.pending == 0
    segments = [
        (event.segment, isinstance(event, FinalHeard))
        for event in session.told
        if not isinstance(event, LanguageContradicted)
    ]
    assert segments == sorted(segments), "in order, partials before finals"
    finals = [which for which, is_final in segments if is_final]
    assert len(finals) == len(set(finals))
    for which, must in owed.items():
        says = any(said.heard is not None and said.heard.text for each, said in begun if each == which)
        assert (which in finals) == (must or says)
        shown = [event for event in session.told if isinstance(event, PartialHeard) and event.segment == which]
        if shown and which not in finals:
            assert shown[-1].text == "", "what was shown is taken back"


def test_what_is_settled_is_told_even_where_its_text_was() -> None:
    session = Session()
    said = session.begin(0)
    session.show(said, "one")
    said.settled = True
    session.show(said, "one")
    session.show(said, "one")
    said.settled = False
    session.show(said, "one")
    session.show(said, "one two")
    assert [(each.text, each.settled) for each in session.told if isinstance(each, PartialHeard)] == [
        ("one", False),
        ("one", True),
        ("one two", False),
    ]


def test_a_segment_is_not_settled_while_a_piece_before_is_unknown() -> None:
    session = Session()
    first, second = session.begin(0), session.begin(0, 100)
    first.text, first.end = "one", 100
    second.settled = True
    session.show(second, "two")
    session.hear(first, "one")
    assert [(each.text, each.settled) for each in session.told if isinstance(each, PartialHeard)] == [
        ("one two", False),
        ("one two", True),
    ]
