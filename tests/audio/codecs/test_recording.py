import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import CHANGES, FIXTURES, PLACES, cut, cut_at, heard, likeness, mutated, packed, spoken, survived
from voxgate.audio.codecs.recording import CONTAINERS, RAW, open_recording
from voxgate.audio.codecs.stream import in_steps
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError

FRAGMENTED = (("movflags", "empty_moov+default_base_moof"), ("frag_duration", "200000"))
KINDS = ["webm", "ogg", "mp4", "mp4 with opus", "wav", "pcm16"]
CHROMIUM = {name: (FIXTURES / f"recorded-by-chromium.{name}").read_bytes() for name in ("webm", "mp4")}


def recording(kind: str) -> bytes:
    """The sentence as one of KINDS."""
    match kind:
        case "webm":
            return packed("webm", "libopus", (("live", "1"),))
        case "ogg":
            return packed("ogg", "libopus")
        case "mp4":
            return packed("mp4", "aac", FRAGMENTED)
        case "mp4 with opus":
            return packed("mp4", "libopus", FRAGMENTED)
        case "wav":
            return packed("wav", "pcm_s16le", rate=48_000)
    return to_pcm16(spoken())


def chunks(name: str) -> list[bytes]:
    """Chromium's recording in the chunks it came in."""
    sizes = map(int, (FIXTURES / f"recorded-by-chromium.{name}.chunks").read_text().split())
    places = itertools.accumulate(sizes, initial=0)
    return [CHROMIUM[name][start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_is_believed_and_not_the_label(kind: str) -> None:
    sound = heard(open_recording("pcm16", 16_000), cut(recording(kind), 700))
    assert 0 <= len(sound) - len(spoken()) <= 2048 * SPEECH_RATE / 48_000
    assert likeness(sound, spoken())[0] > 0.97


@pytest.mark.parametrize("name", CHROMIUM)
def test_one_recording_after_the_other_without_a_word_between(name: str) -> None:
    once = heard(open_recording("pcm16", 16_000), chunks(name))
    twice = heard(open_recording("pcm16", 16_000), chunks(name) * 2)
    assert np.allclose(twice, np.concatenate([once, once]), atol=1e-6)
    assert likeness(once, spoken())[0] > 0.98


def test_containers_may_change_from_one_recording_to_the_next() -> None:
    decoder = open_recording("webm")
    for kind in KINDS[:-1]:
        assert len(heard(decoder, cut(recording(kind), 1000))) == pytest.approx(len(spoken()), abs=700)


def test_a_recording_that_broke_off_keeps_what_was_heard() -> None:
    pieces = chunks("webm")
    begun = open_recording("pcm16")
    half = [begun.feed(piece) for piece in pieces[:20]]
    again = [begun.feed(piece) for piece in pieces]
    assert sum(map(len, half)) + sum(map(len, again[:1])) == pytest.approx(20 * 66 * 960 / 34, abs=0.2 * SPEECH_RATE)
    assert likeness(np.concatenate([*again[1:], begun.flush()]), spoken())[0] > 0.98


@settings(max_examples=60)
@given(st.sampled_from(KINDS), PLACES)
def test_where_the_pieces_are_cut_does_not_matter(kind: str, places: list[int]) -> None:
    data = recording(kind)
    whole = heard(open_recording("pcm16"), [data])
    assert np.allclose(heard(open_recording("pcm16"), cut_at(data, places)), whole, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 3])
def test_in_the_smallest_pieces(kind: str, size: int) -> None:
    data = recording(kind)[:6000]
    assert np.allclose(
        heard(open_recording("pcm16"), cut(data, size)), heard(open_recording("pcm16"), [data]), atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_steps_give_the_same(kind: str) -> None:
    decoder = open_recording("pcm16")
    pieces = [step for chunk in cut(recording(kind), 5000) for step in in_steps(decoder, chunk)]
    whole = heard(open_recording("pcm16"), [recording(kind)])
    assert np.allclose(np.concatenate([*pieces, decoder.flush()]), whole, atol=1e-6)


def test_pcm_is_not_held_back() -> None:
    decoder = open_recording("pcm16")
    for piece in cut(to_pcm16(spoken()), 640):
        assert to_pcm16(decoder.feed(piece)) == piece


def test_an_ogg_page_that_is_not_the_first_begins_no_recording() -> None:
    data = packed("ogg", "libopus", (("page_duration", "20000"),))
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    pieces = [data[start:end] for start, end in itertools.pairwise([*starts, len(data)])]
    assert len(heard(open_recording("pcm16"), pieces)) == len(spoken())


def test_the_label_says_what_sound_without_a_header_is() -> None:
    data = packed("mulaw", "pcm_mulaw", rate=8_000)
    assert likeness(heard(open_recording("mulaw"), cut(data, 800)), spoken())[0] > 0.97
    half = heard(open_recording("pcm16", 32_000), cut(to_pcm16(spoken()), 640))
    assert len(half) == pytest.approx(len(spoken()) / 2, abs=1)


def test_a_few_samples_are_heard_too() -> None:
    decoder = open_recording("pcm16")
    assert len(decoder.feed(b"\0\0\0")) == 0  # could be the beginning of MP4
    assert len(decoder.flush()) == 1
    assert len(heard(open_recording("webm"), [b"\x1a\x45"])) == 0


@pytest.mark.parametrize("label", [*CONTAINERS])
def test_a_container_without_its_header_is_refused_chunk_by_chunk(label: str) -> None:
    decoder = open_recording(label)
    for _ in range(3):
        with pytest.raises(PeerError, match="has no header") as refused:
            decoder.feed(recording("webm")[5000:6000])
        assert refused.value.code is Code.INVALID_AUDIO
    assert len(heard(decoder, [recording("webm")])) > SPEECH_RATE


@pytest.mark.parametrize(("container", "codec"), [("flac", "flac"), ("aiff", "pcm_s16be"), ("mp3", "libmp3lame")])
@pytest.mark.parametrize("label", RAW)
def test_whole_files_are_not_heard_as_noise(label: str, container: str, codec: str) -> None:
    with pytest.raises(PeerError, match=f"is {container.upper()}"):
        open_recording(label).feed(packed(container, codec))


def test_labels_and_rates_are_checked() -> None:
    with pytest.raises(PeerError, match="'mp3' is not a format") as refused:
        open_recording("mp3")
    assert refused.value.param == "format"
    with pytest.raises(PeerError) as refused:
        open_recording("pcm16", 4_000)
    assert refused.value.param == "sample_rate"


def test_an_error_in_the_new_recording_does_not_cost_the_end_of_the_old_one() -> None:
    decoder = open_recording("pcm16")
    heard_before = decoder.feed(recording("wav"))
    with pytest.raises(PeerError):
        decoder.feed(b"\x1a\x45\xdf\xa3" + bytes(40))
    assert len(heard_before) + len(decoder.flush()) == len(spoken())


@settings(max_examples=100)
@given(st.sampled_from(KINDS), CHANGES, PLACES)
def test_damage_is_refused_or_heard_and_the_next_recording_is_whole(
    kind: str, changes: list[tuple[int, int]], places: list[int]
) -> None:
    decoder = open_recording("pcm16")
    _, errors = survived(decoder, cut_at(mutated(recording(kind)[:8000], changes), places))
    assert all(error.code is Code.INVALID_AUDIO for error in errors)
    assert np.allclose(heard(decoder, [recording("ogg")]), heard(open_recording("ogg"), [recording("ogg")]), atol=1e-6)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_junk_is_refused_or_heard(pieces: list[bytes]) -> None:
    for label in (*RAW, *CONTAINERS):
        _, errors = survived(open_recording(label), pieces)
        assert all(error.code is Code.INVALID_AUDIO for error in errors)
