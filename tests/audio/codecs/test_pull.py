import pytest
from hypothesis import given

from tests.recordings import PLACES, cut_at
from voxgate.audio.codecs.pull import Parser, Peek, Puller, Seek, Skip, Some, Take

TEXT = b"head;skip this;junk junk MARK and then the rest of it"


def parser(answers: list[bytes]) -> Parser:
    answers.append((yield Take(5)))
    answers.append((yield Skip(10)))
    answers.append((yield Seek(b"MARK", within=100, ahead=5)))
    answers.append((yield Peek(9)))
    answers.append((yield Take(9)))
    answers.append((yield Seek(b"nowhere", within=4)))
    answers.append((yield Take(4)))
    while True:
        answers.append((yield Some(100)))


@given(PLACES)
def test_where_the_pieces_are_cut_does_not_matter(places: list[int]) -> None:
    answers: list[bytes] = []
    puller = Puller(parser(answers))
    for piece in cut_at(TEXT, places):
        puller.feed(piece)
    assert answers[:7] == [b"head;", b"", b"MARK", b"junk MARK", b"junk MARK", b"", b" the"]
    assert b"".join(answers[7:]) == b"n the rest of it"


def test_what_has_come_of_a_take_waits_for_the_rest() -> None:
    answers: list[bytes] = []
    puller = Puller(parser(answers))
    puller.feed(b"hea")
    assert answers == []
    puller.feed(b"d;")
    assert answers == [b"head;"]


def test_some_gives_what_there_is_and_no_more_than_asked_for() -> None:
    answers: list[bytes] = []

    def reader() -> Parser:
        while True:
            answers.append((yield Some(3)))

    puller = Puller(reader())
    puller.feed(b"")
    puller.feed(b"abcd")
    assert answers == [b"abc", b"d"]


def test_skipping_and_seeking_hold_nothing_in_memory() -> None:
    def reader() -> Parser:
        yield Skip(1 << 60)

    def seeker() -> Parser:
        yield Seek(b"mark", within=1 << 60)

    for puller in (Puller(reader()), Puller(seeker())):
        for _ in range(100):
            puller.feed(bytes(10_000))
        assert len(puller._held) < 4


def test_a_mark_that_lies_beyond_the_limit_is_not_found() -> None:
    answers: list[bytes] = []

    def seeker() -> Parser:
        answers.append((yield Seek(b"mark", within=3)))
        answers.append((yield Take(1)))

    puller = Puller(seeker())
    with pytest.raises(StopIteration):
        puller.feed(b"abcdmark")
    assert answers == [b"", b"d"]


def test_what_the_parser_raises_comes_out() -> None:
    def refuser() -> Parser:
        yield Take(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Puller(refuser()).feed(b"x")
