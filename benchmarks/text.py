"""What pure work on text costs, a row each: median and worst of many runs, in milliseconds, on this machine.

    python benchmarks/text.py

Target (issue 10): normalization and correction of 500 characters <= 1 ms.
"""

import statistics
import time
from collections.abc import Callable

from voxgate.text.correct import correct
from voxgate.text.normalize import normalize

LENGTH = 500
RUNS = 500

CLEAN = "She had been waiting near the station for an hour before the train came in, and the rain had not stopped. "
SPOKEN = (
    "So, um, i think we should, you know, go to the the store at seven thirty pm on monday, and buy twenty five apples "
    "for twenty dollars. My number is five five five, two three four, nine eight seven six. "
)
VIETNAMESE = "ừm, tôi muốn đặt bàn cho hai mươi lăm người vào lúc bảy giờ tối, và và giảm hai mươi phần trăm ở hà nội. "
WRITTEN = (
    "Dr. Lee paid $3.50 on 11/21/2026 at 3:05 pm for 5 km of cable, 20% off; call +1 555 123 4567 or see "
    "www.example.com/docs. "
)
WRITTEN_VIETNAMESE = (
    "Giá 1.500.000đ, giảm 20%, lúc 17h30 ngày 21/11/2026 tại TP.HCM; gọi 0901 234 567 hoặc a.b@gmail.com, 5 kg, 30°C. "
)


def long(text: str) -> str:
    """`text` over and over, LENGTH characters of it."""
    return (text * (LENGTH // len(text) + 1))[:LENGTH]


def rows() -> dict[str, Callable[[], object]]:
    """What is measured, by the name of its row."""
    return {
        "correct: clean English": lambda: correct(long(CLEAN), "en"),
        "correct: English as spoken": lambda: correct(long(SPOKEN), "en"),
        "correct: Vietnamese as spoken": lambda: correct(long(VIETNAMESE), "vi"),
        "normalize basic: plain English": lambda: normalize(long(CLEAN), "basic", "en"),
        "normalize advanced: plain English": lambda: normalize(long(CLEAN), "advanced", "en"),
        "normalize basic: figures": lambda: normalize(long(WRITTEN), "basic", "en"),
        "normalize advanced: figures": lambda: normalize(long(WRITTEN), "advanced", "en"),
        "normalize advanced: Vietnamese": lambda: normalize(long(WRITTEN_VIETNAMESE), "advanced", "vi"),
    }


def main() -> None:
    """Measure every row."""
    print(f"{LENGTH} characters, {RUNS} runs{'median':>26}{'p99':>10}")
    for name, work in rows().items():
        took = []
        for _ in range(RUNS):
            began = time.perf_counter()
            work()
            took.append((time.perf_counter() - began) * 1000)
        print(f"{name:34}{statistics.median(took):11.3f} ms{statistics.quantiles(took, n=100)[98]:7.3f} ms")


if __name__ == "__main__":
    main()
