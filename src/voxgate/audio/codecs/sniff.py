"""What kind of file this is, from its first bytes. Names and declared types lie; these bytes do not."""

from enum import StrEnum

HEAD_BYTES = 64
"""How many first bytes are enough (an ID3 tag in front is not looked through)."""


class Kind(StrEnum):
    """What a recording can be packed in."""

    WAV = "wav"
    MP3 = "mp3"
    MP4 = "mp4"
    FLAC = "flac"
    OGG = "ogg"
    WEBM = "webm"
    AAC = "aac"
    AIFF = "aiff"
    AMR = "amr"
    UNKNOWN = "unknown"


_MP4_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip")


def sniff(head: bytes) -> Kind:
    """The kind of container that begins with `head`; UNKNOWN for anything else, never an error.

    WAV covers RF64 and RIFX, MP4 covers M4A, 3GP and QuickTime, WEBM covers Matroska, MP3 also layers I and II.
    """
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return Kind.WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind.AIFF
    for magic, kind in (
        (b"fLaC", Kind.FLAC),
        (b"OggS", Kind.OGG),
        (b"\x1a\x45\xdf\xa3", Kind.WEBM),
        (b"#!AMR", Kind.AMR),
        (b"ID3", Kind.MP3),
        (b"ADIF", Kind.AAC),
    ):
        if head.startswith(magic):
            return kind
    frames = _frame_sync(head)  # first: a box that long (4 GB and more) begins no file
    return Kind.MP4 if frames is Kind.UNKNOWN and head[4:8] in _MP4_BOXES else frames


def _frame_sync(head: bytes) -> Kind:
    """Bare streams of frames: AAC in ADTS (ISO 13818-7, 6.2) and MPEG audio (ISO 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return Kind.UNKNOWN
    layer = head[1] >> 1 & 3
    if head[1] & 0xF0 == 0xF0 and layer == 0:
        return Kind.AAC if head[2] >> 2 & 15 < 13 else Kind.UNKNOWN
    version, bit_rate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    is_mpeg = version != 1 and layer != 0 and bit_rate not in (0, 15) and rate != 3
    return Kind.MP3 if is_mpeg else Kind.UNKNOWN
