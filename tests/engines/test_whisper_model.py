"""The weights themselves, without a process around them."""

from pathlib import Path

import numpy as np
import pytest

from tests.engines.moonshine_data import recorded
from tests.engines.whisper_data import model
from voxgate.engines.whisper_mel import HOP, frames_for, mel
from voxgate.engines.whisper_model import WhisperModel
from voxgate.engines.whisper_tokens import Tokens
from voxgate.errors import Code, ModelError

pytestmark = pytest.mark.slow


def test_a_folder_that_holds_no_model_is_told(tmp_path: Path) -> None:
    for name in ("config.json", "model.bin", "vocabulary.txt"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(ModelError) as caught:
        WhisperModel(tmp_path, 1)
    assert caught.value.code is Code.MODEL_BROKEN


def test_one_encoding_serves_text_language_and_positions(shared: Path) -> None:
    whisper, tokens = WhisperModel(model(), 1), Tokens.read(model() / "tokenizer.json")
    audio = recorded("sense_0880.wav")
    encoding = whisper.encode(mel(audio, frames_for(len(audio))))

    said = whisper.decode(encoding, tokens.prompt("en"), 40)
    assert tokens.decode(said.tokens).startswith("He was not")
    assert -0.5 < said.log_prob < 0
    assert said.no_speech < 0.1

    spoken = whisper.languages(encoding)
    assert max(spoken, key=spoken.__getitem__) == "en"
    assert sum(spoken.values()) == pytest.approx(1, abs=1e-3)

    aligned = whisper.align(encoding, tokens.orders("en"), said.tokens, len(audio) // HOP)
    assert len(aligned.onsets) == len(aligned.probabilities) == len(said.tokens)
    assert list(aligned.onsets) == sorted(aligned.onsets)
    assert aligned.onsets[-1] * 2 * HOP <= len(audio)
    assert np.median(aligned.probabilities) > 0.5


def test_the_limit_holds_with_and_without_a_prompt(shared: Path) -> None:
    whisper, tokens = WhisperModel(model(), 1), Tokens.read(model() / "tokenizer.json")
    encoding = whisper.encode(mel(recorded("jfk.wav"), 1400))
    for before in ((), tokens.encode(" We will talk about Americans.")):
        said = whisper.decode(encoding, tokens.prompt("en", before=before), 10)
        assert len(said.tokens) in (10, 11, 10 + len(before)), "twice what is wanted is asked for: half of it comes"
