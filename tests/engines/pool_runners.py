"""Runners for the tests of the pool: they count, wait, fail and die."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from voxgate.errors import Code, PeerError


class Runner:
    def __init__(self, loaded_in: int) -> None:
        self.loaded_in = loaded_in

    def run(self, request: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        verb, argument = request
        if verb == "echo":
            yield argument
        elif verb == "count":
            for number in range(argument):
                if cancelled():
                    return
                yield number
        elif verb == "where":
            yield os.getpid(), self.loaded_in, threading.get_ident()
        elif verb == "until_cancelled":
            yield "started"
            while not cancelled():
                time.sleep(0.005)
            with open(argument, "w") as file:
                file.write("cancelled")
        elif verb == "wait_for_file":
            while not Path(argument).exists() and not cancelled():
                time.sleep(0.005)
            yield "seen"
        elif verb == "hang":
            time.sleep(30)
        elif verb == "die":
            os._exit(3)
        elif verb == "die_once":
            if not Path(argument).exists():
                open(argument, "w").close()
                os._exit(3)
            yield "survived"
        elif verb == "answer_and_die":
            yield "first"
            time.sleep(0.1)
            os._exit(3)
        elif verb == "peer_error":
            raise PeerError("not this", param="file", code=Code.INVALID_AUDIO)
        elif verb == "bug":
            raise ZeroDivisionError(argument)
        elif verb == "environment":
            yield os.environ.get(argument)


def load() -> Runner:
    return Runner(os.getpid())


def broken() -> Runner:
    raise RuntimeError("no such model")


def slow_to_load() -> Runner:
    time.sleep(30)
    return Runner(0)
