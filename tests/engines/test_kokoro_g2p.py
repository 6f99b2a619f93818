"""The readers of Chinese and Japanese, where their extras are installed."""

from importlib.util import find_spec

import pytest

from tests.conftest import absent
from voxgate.engines.kokoro_g2p import Reader
from voxgate.engines.kokoro_text import SYMBOLS
from voxgate.engines.kokoro_voices import JA_EXTRA, ZH_EXTRA
from voxgate.errors import EngineError


def needs(extra: tuple[str, str]) -> None:
    module, command = extra
    if find_spec(module) is None:
        absent("kokoro-extras", f"{module} ({command})")


def test_other_languages_have_no_reader() -> None:
    with pytest.raises(EngineError, match="'en'"):
        Reader().read(("hello",), "en")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated", "ignore:invalid escape sequence")
def test_chinese() -> None:
    needs(ZH_EXTRA)
    one, two = Reader().read(("你好", "三个苹果。"), "zh")
    assert one == "ni↓xau↓"
    assert all(symbol in SYMBOLS for symbol in one + two)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:open_text is deprecated")
def test_japanese() -> None:
    needs(JA_EXTRA)
    reader = Reader()
    [world] = reader.read(("世界。",), "ja")
    assert world == "sekai."
    [tower] = reader.read(("東京タワーは333メートルです。",), "ja")
    assert all(symbol in SYMBOLS for symbol in tower)
