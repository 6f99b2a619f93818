"""What speech can be asked in, and what each format can do."""

from dataclasses import dataclass
from enum import StrEnum

from voxgate.errors import Code, PeerError

ENCODED_RATE = 24_000
"""Samples per second of everything that is encoded (OpenAI's `pcm` has this rate; Opus and AAC know it natively)."""


class Format(StrEnum):
    """What speech can be asked in; the values are those of `response_format`."""

    MP3 = "mp3"
    WAV = "wav"
    OPUS = "opus"
    FLAC = "flac"
    AAC = "aac"
    PCM = "pcm"


@dataclass(frozen=True, slots=True)
class _Recipe:
    content_type: str
    default_kbit: int = 0
    rates_kbit: tuple[int, ...] = ()
    """What the codec can do at ENCODED_RATE, mono."""


_RECIPES = {
    # MPEG-2 layer III, which is what MP3 is at 24 kHz, ends at 160 kbit/s (ISO 13818-3, table of bit rates).
    Format.MP3: _Recipe("audio/mpeg", 64, (32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)),
    # libopus takes at most 256 kbit/s a channel (libavcodec/libopusenc.c).
    Format.OPUS: _Recipe("audio/ogg", 32, (32, 64, 128, 192, 256)),
    # 6,144 bits a frame of 1,024 samples (ISO 14496-3): 144 kbit/s at 24 kHz.
    Format.AAC: _Recipe("audio/aac", 64, (32, 64, 128, 144)),
    Format.FLAC: _Recipe("audio/flac"),
    Format.WAV: _Recipe("audio/wav"),
    Format.PCM: _Recipe("audio/pcm"),
}


def parse_format(text: str, *, param: str = "response_format") -> Format:
    """The format `text` names, in any case. Raises PeerError `unsupported_format`."""
    try:
        return Format(text.strip().lower())
    except ValueError:
        known = ", ".join(Format)
        raise PeerError(
            f"{text.strip()[:40]!r} is not a format speech can have; use one of {known}",
            code=Code.UNSUPPORTED_FORMAT,
            param=param,
        ) from None


def content_type(fmt: Format) -> str:
    """The media type of a format, before anything is encoded."""
    return _RECIPES[fmt].content_type


def bit_rate_kbit(fmt: Format, quality_kbit: int | None) -> int:
    """The bit rate the codec can do that is nearest to the one asked for; 0 for formats that have none to choose."""
    recipe = _RECIPES[fmt]
    if not recipe.rates_kbit:
        return 0
    wanted = recipe.default_kbit if quality_kbit is None else quality_kbit
    return min(recipe.rates_kbit, key=lambda rate: (abs(rate - wanted), -rate))
