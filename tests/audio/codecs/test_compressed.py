import numpy as np
import pytest

from voxgate.audio.codecs.compressed import CompressedEncoder
from voxgate.audio.codecs.formats import Format


def first_bytes(fmt: Format, kbit: int) -> bytes:
    encoder = CompressedEncoder(fmt, 24_000, "audio/x", kbit)
    return encoder.feed(np.full(24_000, 0.1, np.float32))


def test_mp3_begins_with_sound_not_with_a_tag() -> None:
    data = first_bytes(Format.MP3, 64)
    assert data[:2] in (b"\xff\xf3", b"\xff\xf2")
    assert b"Xing" not in data[:200]
    assert b"Info" not in data[:200]


def test_opus_has_a_page_for_every_packet() -> None:
    assert first_bytes(Format.OPUS, 32).count(b"OggS") == pytest.approx(2 + 50, abs=3)


@pytest.mark.parametrize("fmt", [Format.MP3, Format.OPUS, Format.FLAC, Format.AAC])
def test_an_encoder_that_is_left_open_does_no_harm(fmt: Format) -> None:
    for _ in range(20):
        assert first_bytes(fmt, 64)
