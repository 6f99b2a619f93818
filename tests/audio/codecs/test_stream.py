from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import PLACES, cut, cut_at, heard, likeness, opus_packets, packed, spoken
from voxgate.audio.codecs.stream import Encoding, in_steps, open_stream
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError


def pcm(rate: int) -> bytes:
    return packed("s16le", "pcm_s16le", rate=rate)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_pcm_of_any_rate_sounds_as_it_did(rate: int) -> None:
    sound = heard(open_stream("pcm16", rate), cut(pcm(rate), 641))
    assert abs(len(sound) - len(spoken())) <= 2
    alike, late = likeness(sound, spoken())
    assert alike > 0.97
    assert late == 0


def test_pcm_at_speech_rate_is_neither_changed_nor_late() -> None:
    decoder = open_stream("pcm16")
    for piece in cut(pcm(SPEECH_RATE), 640):
        assert to_pcm16(decoder.feed(piece)) == piece
    assert len(decoder.flush()) == 0


@settings(max_examples=40)
@given(st.sampled_from([8_000, 16_000, 44_100]), PLACES)
def test_where_pcm_is_cut_does_not_matter(rate: int, places: list[int]) -> None:
    data = pcm(rate)[:20_001]
    sound = heard(open_stream("pcm16", rate), cut_at(data, places))
    assert np.allclose(sound, heard(open_stream("pcm16", rate), [data]), atol=1e-6)


@pytest.mark.parametrize("rate", [None, 8_000, 16_000])
def test_mu_law_has_a_telephones_rate_if_none_is_given(rate: int | None) -> None:
    data = packed("mulaw", "pcm_mulaw", rate=rate or 8_000)
    sound = heard(open_stream("mulaw", rate), cut(data, 161))
    assert abs(len(sound) - len(spoken())) <= 1
    assert likeness(sound, spoken())[0] > 0.97


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_opus_packets_come_one_a_message(layout: str) -> None:
    packets = opus_packets(layout)
    sound = heard(open_stream("opus_packets"), packets)
    assert len(sound) == len(packets) * 320
    alike, late = likeness(sound, spoken())
    assert alike > 0.97
    assert late == 104


def test_after_a_bad_packet_the_stream_goes_on() -> None:
    packets = opus_packets()
    decoder = open_stream("opus_packets")
    for bad in (b"", b"\xff\xff\xff", b"\x02\xff"):
        decoder.feed(packets[0])
        with pytest.raises(PeerError) as refused:
            decoder.feed(bad)
        assert refused.value.code is Code.INVALID_AUDIO
        assert refused.value.param == "audio"
    assert sum(len(decoder.feed(packet)) for packet in packets[:10]) > 0


def test_opus_is_an_ogg_stream_and_nothing_else() -> None:
    sound = heard(open_stream("opus", 48_000), cut(packed("ogg", "libopus"), 500))
    assert len(sound) == len(spoken())
    with pytest.raises(PeerError, match="no Ogg stream"):
        open_stream("opus").feed(packed("webm", "libopus"))


@pytest.mark.parametrize("encoding", ["pcm16", "mulaw", "opus", "opus_packets"])
@pytest.mark.parametrize("rate", [0, 7_999, 48_001, -16_000])
def test_rates_that_speech_is_not_sent_at_are_refused(encoding: Encoding, rate: int) -> None:
    with pytest.raises(PeerError, match=str(rate)) as refused:
        open_stream(encoding, rate)
    assert refused.value.param == "sample_rate"
    assert refused.value.code is Code.INVALID_VALUE


@pytest.mark.parametrize(
    ("encoding", "made"),
    [
        ("pcm16", lambda: pcm(16_000)),
        ("mulaw", lambda: pcm(16_000)),
        ("opus", lambda: packed("ogg", "libopus")),
        ("opus_packets", lambda: opus_packets()[4]),
    ],
)
def test_steps_give_the_same_and_none_is_long(encoding: Encoding, made: Callable[[], bytes]) -> None:
    decoder, data = open_stream(encoding), made()
    steps = list(in_steps(decoder, data))
    assert all(len(step) <= 2 * SPEECH_RATE for step in steps)
    assert np.allclose(np.concatenate([*steps, decoder.flush()]), heard(open_stream(encoding), [data]), atol=1e-6)


def test_an_empty_message_is_a_step_too() -> None:
    assert [len(step) for step in in_steps(open_stream("pcm16"), b"")] == [0]
    with pytest.raises(PeerError):
        list(in_steps(open_stream("opus_packets"), b""))


def test_the_most_that_a_step_can_claim_is_bounded() -> None:
    """A packet of two bytes may last 120 ms: as many of them as fit into one step are a minute or so."""
    decoder = open_stream("opus")
    assert decoder.step is not None
    assert decoder.step / 3 * 0.12 < 60


def test_damage_in_one_step_does_not_cost_the_others() -> None:
    ogg = packed("ogg", "libopus", (("page_duration", "20000"),))
    data = b"junk" + ogg
    decoder, heard_samples = open_stream("opus"), 0
    with pytest.raises(PeerError, match="no Ogg stream"):
        for step in in_steps(decoder, data):
            heard_samples += len(step)
    assert heard_samples + len(decoder.flush()) == len(spoken())


@pytest.mark.parametrize(("encoding", "rate", "size"), [("pcm16", 8_000, 2), ("mulaw", 8_000, 1), ("pcm16", 16_000, 2)])
def test_drained_everything_that_was_fed_has_come(encoding: Encoding, rate: int, size: int) -> None:
    decoder = open_stream(encoding, rate)
    for _ in range(3):
        came = len(decoder.feed(bytes(size * rate // 10))) + len(decoder.drain())
        assert abs(came - SPEECH_RATE // 10) <= 1


@pytest.mark.parametrize("encoding", ["opus", "opus_packets"])
def test_opus_goes_on_after_it_was_drained(encoding: Encoding) -> None:
    packets = opus_packets() if encoding == "opus_packets" else cut(packed("ogg", "libopus"), 200)
    decoder, undisturbed = open_stream(encoding), len(heard(open_stream(encoding), packets))
    came = len(decoder.drain())
    for packet in packets:
        came += len(decoder.feed(packet)) + len(decoder.drain())
    assert abs(came + len(decoder.flush()) - undisturbed) <= len(packets)
