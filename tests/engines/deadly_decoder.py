"""A decoding worker that dies on files whose name says so: what a memory error in a parser does."""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from voxgate.domain import Samples
from voxgate.engines.pyav_decoder import DecodingRunner


class DeadlyRunner(DecodingRunner):
    def run(self, request: Any, cancelled: Callable[[], bool]) -> Iterator[Samples]:
        for number, block in enumerate(super().run(request, cancelled), start=request.skip):
            if Path(request.path).name.startswith("deadly") and number == 1:
                ctypes.string_at(0)  # a segmentation fault
            yield block


def runner(max_file_s: float) -> DeadlyRunner:
    return DeadlyRunner(max_file_s)
