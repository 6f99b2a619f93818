import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.audio.codecs.sniff import Kind, sniff


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", Kind.WAV),
        (b"RF64\xff\xff\xff\xffWAVEds64", Kind.WAV),
        (b"RIFF\x00\x00\x00\x00AVI LIST", Kind.UNKNOWN),
        (b"FORM\x00\x00\x00\x00AIFFCOMM", Kind.AIFF),
        (b"FORM\x00\x00\x00\x00AIFCFVER", Kind.AIFF),
        (b"\x00\x00\x00\x1cftypM4A ", Kind.MP4),
        (b"\x00\x00\x00\x18moof\x00\x00\x00\x10", Kind.MP4),
        (b"fLaC\x00\x00\x00\x22", Kind.FLAC),
        (b"OggS\x00\x02", Kind.OGG),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81", Kind.WEBM),
        (b"#!AMR\n", Kind.AMR),
        (b"#!AMR-WB\n", Kind.AMR),
        (b"ID3\x04\x00\x00", Kind.MP3),
        (b"\xff\xfb\x90\x00", Kind.MP3),
        (b"\xff\xf3\x84\xc4", Kind.MP3),
        (b"\xff\xf1\x58\x40", Kind.AAC),
        (b"\xff\xf9\x58\x40", Kind.AAC),
        (b"ADIF", Kind.AAC),
        (b"\xff\xd8\xff\xe0", Kind.UNKNOWN),  # a JPEG
        (b"\xff\xff\xff\xff", Kind.UNKNOWN),
        (b"\xff\xfb\xff\x00", Kind.UNKNOWN),
        (b"#EXTM3U\n", Kind.UNKNOWN),
        (b"", Kind.UNKNOWN),
        (b"R", Kind.UNKNOWN),
    ],
)
def test_heads(head: bytes, kind: Kind) -> None:
    assert sniff(head) is kind


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda tail: b"\xff" + tail)))
@settings(deadline=None)
def test_anything_at_all_has_an_answer(head: bytes) -> None:
    assert isinstance(sniff(head), Kind)


@given(st.sampled_from([b"RIFF\0\0\0\0WAVE", b"OggS", b"fLaC", b"\0\0\0\x1cftyp", b"\xff\xf1\x58\x40"]), st.binary())
@settings(deadline=None)
def test_what_follows_the_head_changes_nothing(head: bytes, tail: bytes) -> None:
    assert sniff(head + tail) is sniff(head)
