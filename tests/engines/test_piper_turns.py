import threading

import pytest

from voxgate.engines.piper_turns import Turns


def test_whoever_is_nearest_to_running_dry_goes_first() -> None:
    turns = Turns(1)
    order: list[float] = []
    waiting = threading.Semaphore(0)

    def work(ahead_s: float) -> None:
        waiting.release()
        with turns.turn(ahead_s):
            order.append(ahead_s)

    threads: list[threading.Thread] = []
    with turns.turn(0.0):
        for ahead_s in (7.0, 0.0, -1.0, 3.0):
            thread = threading.Thread(target=work, args=(ahead_s,))
            thread.start()
            threads.append(thread)
            waiting.acquire()
            while turns.waiting < len(threads):
                thread.join(0.001)
    for thread in threads:
        thread.join()
    assert order == [-1.0, 0.0, 3.0, 7.0]


def test_no_more_work_at_once_than_there_are_cores() -> None:
    turns = Turns(2)
    barrier = threading.Barrier(2, timeout=10)
    at_work = most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_work, most
        with turns.turn(0.0):
            with lock:
                at_work += 1
                most = max(most, at_work)
            barrier.wait()  # passes only if two really work side by side
            with lock:
                at_work -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_a_failing_holder_gives_its_turn_back() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="broken"), turns.turn(0.0):
        raise ValueError("broken")
    with turns.turn(0.0):
        assert turns.waiting == 0
