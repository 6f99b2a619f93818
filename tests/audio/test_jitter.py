import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.audio.jitter import Hole, Reorder

STEP = 960
FIRST, STAMP = 65_500, (1 << 32) - 10 * STEP
"""Both wrap within the streams of these tests."""


def push(buffer: Reorder, number: int) -> list[bytes | Hole]:
    """The packet that was sent as the `number`-th, whose payload is its number."""
    return buffer.push((FIRST + number) % 65_536, (STAMP + number * STEP) % (1 << 32), STEP, number.to_bytes(4))


def played(due: list[bytes | Hole]) -> list[int | Hole]:
    return [one if isinstance(one, Hole) else int.from_bytes(one) for one in due]


def test_what_comes_in_order_goes_on_at_once() -> None:
    buffer = Reorder()
    for number in range(100):
        assert played(push(buffer, number)) == [number]
    assert (buffer.lost, buffer.late, buffer.waiting) == (0, 0, 0)


def test_two_that_changed_places_are_put_right() -> None:
    buffer = Reorder()
    assert played(push(buffer, 0)) == [0]
    assert push(buffer, 2) == []
    assert buffer.waiting == 1
    assert played(push(buffer, 1)) == [1, 2]
    assert played(push(buffer, 3)) == [3]
    assert buffer.lost == 0


def test_one_lost_packet_costs_three_packets_of_delay_and_then_none() -> None:
    buffer = Reorder()
    push(buffer, 0)
    assert push(buffer, 2) == push(buffer, 3) == []
    assert played(push(buffer, 4)) == [Hole(STEP), 2, 3, 4]
    assert played(push(buffer, 5)) == [5]
    assert (buffer.lost, buffer.late) == (1, 0)
    assert push(buffer, 1) == []  # too late
    assert buffer.late == 1


def test_several_holes_are_filled_each_where_it_is() -> None:
    buffer = Reorder()
    push(buffer, 0)
    assert push(buffer, 3) == push(buffer, 5) == []
    assert played(push(buffer, 7)) == [Hole(2 * STEP), 3]
    assert played(push(buffer, 8)) == [Hole(STEP), 5]
    assert played(buffer.drain()) == [Hole(STEP), 7, 8]
    assert buffer.lost == 4


def test_what_comes_twice_is_played_once() -> None:
    buffer = Reorder()
    assert played(push(buffer, 0)) == [0]
    assert push(buffer, 0) == []
    assert push(buffer, 2) == push(buffer, 2) == []
    assert played(push(buffer, 1)) == [1, 2]
    assert buffer.late == 2


@pytest.mark.parametrize("away", [150, 30_000, -200])
def test_a_stream_that_begins_anew_is_no_hole(away: int) -> None:
    buffer = Reorder()
    begin = 1_000
    for number in (begin, begin + 2):
        push(buffer, number)
    assert played(push(buffer, begin + away)) == [Hole(STEP), begin + 2, begin + away]
    assert played(push(buffer, begin + away + 1)) == [begin + away + 1]


def test_a_pause_that_the_sender_made_is_silence_up_to_a_limit() -> None:
    buffer = Reorder(longest_hole=10 * STEP)
    assert buffer.push(1, 0, STEP, b"a") == [b"a"]
    assert buffer.push(2, 6 * STEP, STEP, b"b") == [Hole(5 * STEP), b"b"]
    assert buffer.push(3, 100 * STEP, STEP, b"c") == [b"c"]
    assert buffer.push(4, 101 * STEP, STEP, b"d") == [b"d"]
    assert buffer.push(5, 0, STEP, b"e") == [b"e"]  # another clock


def test_draining_what_is_empty_gives_nothing() -> None:
    assert Reorder().drain() == []


@given(
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    displacement=st.integers(0, 4),
    twice=st.floats(0, 0.2),
    seed=st.integers(0, 10_000),
)
def test_whatever_the_network_does_order_and_time_are_kept(
    loss: float, displacement: int, twice: float, seed: int
) -> None:
    chance = random.Random(seed)
    sent = [number for number in range(300) if number == 0 or chance.random() >= loss]
    sent += [number for number in sent if chance.random() < twice]
    first, rest = [0], sorted(number for number in sent if number)
    arriving = first + sorted(rest, key=lambda number: number + chance.uniform(0, displacement))
    buffer = Reorder()
    out: list[int | Hole] = []
    for number in arriving:
        out += played(push(buffer, number))
        assert buffer.waiting < 3
    out += played(buffer.drain())

    numbers = [one for one in out if isinstance(one, int)]
    assert numbers == sorted(set(numbers))  # in order, and once
    assert set(numbers) <= set(sent)
    if displacement <= 2:
        assert set(numbers) == set(sent)  # what is at most two places late is not given up
    time = sum(one.samples if isinstance(one, Hole) else STEP for one in out)
    assert time == (numbers[-1] + 1) * STEP  # every hole is as long as what is missing
    assert buffer.lost == numbers[-1] + 1 - len(numbers)


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, (1 << 32) - 1)), max_size=200))
def test_nonsense_is_bounded(packets: list[tuple[int, int]]) -> None:
    buffer = Reorder()
    for sequence, timestamp in packets:
        for one in buffer.push(sequence, timestamp, STEP, b"x"):
            assert isinstance(one, bytes) or 0 < one.samples <= 48_000
        assert buffer.waiting < 3
