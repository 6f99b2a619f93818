from pathlib import Path

import pytest

from tests.audio_samples import wav
from tests.cli.conftest import Voxgate
from tests.serving import SCRIPTED


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "I pay $20\n"),
        (("--raw",), "um i pay twenty dollars\n"),
        (("--language", "id"), "um i pay twenty dollars\n"),
    ],
)
def test_corrected_unless_the_raw_text_is_wanted(
    voxgate: Voxgate, here: Path, arguments: tuple[str, ...], told: str
) -> None:
    said = '[engines.scripted_stt]\ntext = "um i pay twenty dollars"\nlanguages = {en = "good", id = "fair"}\n'
    (here / "voxgate.toml").write_text(SCRIPTED + said)
    (here / "a.wav").write_bytes(wav(1.0))
    result = voxgate("transcribe", "a.wav", *(arguments or ("--language", "en")))
    assert (result.exit_code, result.stdout) == (0, told)


def test_the_word_error_rate_is_the_recognizers(voxgate: Voxgate, here: Path) -> None:
    (here / "voxgate.toml").write_text(SCRIPTED + '[engines.scripted_stt]\ntext = "um i pay"\n')
    (here / "a.wav").write_bytes(wav(1.0))
    (here / "a.txt").write_text("um i pay")
    assert "WER 0.000: 0 of 3 words" in voxgate("transcribe", "a.wav").stderr
