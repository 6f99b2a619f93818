from hypothesis import given
from hypothesis import strategies as st

from voxgate.audio.codecs.formats import Format, bit_rate_kbit


@given(st.sampled_from([Format.MP3, Format.OPUS, Format.AAC]), st.integers(32, 320))
def test_a_wish_becomes_the_nearest_rate(fmt: Format, wish: int) -> None:
    rates = {bit_rate_kbit(fmt, any_wish) for any_wish in range(32, 321)}
    assert all(abs(bit_rate_kbit(fmt, wish) - wish) <= abs(rate - wish) for rate in rates)


def test_lossless_formats_have_none_to_choose() -> None:
    assert {bit_rate_kbit(fmt, 128) for fmt in (Format.WAV, Format.PCM, Format.FLAC)} == {0}
