from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.engines.sse import Event, EventReader


def read(data: bytes, cuts: list[int] | None = None) -> list[Event]:
    reader = EventReader()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    events = [event for a, b in pairwise(edges) for event in reader.feed(data[a:b])]
    return events + reader.close()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_reads_an_event_with_each_line_end(end: str) -> None:
    assert read(f"data: one{end}{end}data:two{end}{end}".encode()) == [Event("one"), Event("two")]


def test_joins_data_lines_and_keeps_the_name() -> None:
    assert read(b"event: error\ndata: a\ndata: b\n\ndata: c\n\n") == [Event("a\nb", "error"), Event("c")]


def test_comments_ids_and_empty_events_say_nothing() -> None:
    assert read(b": PROCESSING\n\nid: 4\nretry: 10\n\nevent: ping\n\ndata\n\n") == [Event("")]


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    assert read(b"\xef\xbb\xbfdata: x\n\n") == [Event("x")]


def test_only_one_space_after_the_colon_is_taken() -> None:
    assert read(b"data:  x\n\n") == [Event(" x")]


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert read(b"data: \xff\n\n") == [Event("\ufffd")]


def test_the_last_event_may_lack_its_blank_line() -> None:
    assert read(b"data: x") == [Event("x")]


def test_an_event_beyond_the_limit_is_refused_whether_it_has_line_ends_or_not() -> None:
    for line in (b"data: xxxx", b"data: xxxx\n", b":xxxxxxxxx"):
        reader = EventReader(limit=60)
        with pytest.raises(ValueError, match="60 characters"):
            for _ in range(20):
                reader.feed(line)


def test_the_limit_is_one_events_not_the_streams() -> None:
    reader = EventReader(limit=20)
    assert [event for _ in range(50) for event in reader.feed(b"data: 12345\n\n")] == [Event("12345")] * 50


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\r\n\ufeff", codec="utf-8"), max_size=12), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 400), max_size=30),
)
def test_cuts_change_nothing(texts: list[str], end: str, cuts: list[int]) -> None:
    data = "".join(f"data: {text}{end}: more to come{end}{end}" for text in texts).encode()
    assert read(data, cuts) == [Event(text) for text in texts]
