import asyncio

import numpy as np
import pytest

from tests.virtual import run
from voxgate.audio.codecs.opus import OpusCodec
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.gateways.rooms.embedded_sound import FRAME, OPUS_FRAME, Ear, Encoder, Outlet, Pace, Voice
from voxgate.gateways.rooms.media import VOICE_RATE


def tone(seconds: float, rate: int = VOICE_RATE, hertz: float = 440) -> Samples:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def level(sound: Samples, rate: int = SPEECH_RATE, hertz: float = 440) -> float:
    return float(2 * abs(np.mean(sound * np.exp(-2j * np.pi * hertz * np.arange(len(sound)) / rate))))


def packets(seconds: float) -> list[bytes]:
    sound, encoder = tone(seconds), Encoder()
    return [encoder.encode(sound[at : at + FRAME]) for at in range(0, len(sound), FRAME)]


# out


def test_a_voice_gives_out_what_was_put_in_and_counts_it() -> None:
    played: list[int] = []
    voice = Voice(played.append)
    assert voice.take() is None
    for part in np.split(np.arange(1000, dtype=np.float32), [1, 300, 999]):
        voice.put(part)
    first, second, third = voice.take(), voice.take(), voice.take()
    assert first is not None and second is not None and third is not None
    assert np.array_equal(np.concatenate([first, second, third])[:1000], np.arange(1000))
    assert np.array_equal(third[40:], np.zeros(FRAME - 40))
    assert played == [480, 960, 1000]
    assert voice.take() is None


def test_what_is_cleared_is_not_played_and_counting_begins_anew() -> None:
    played: list[int] = []
    voice = Voice(played.append)
    voice.put(tone(1))
    voice.take()
    voice.clear()
    assert voice.take() is None
    voice.put(np.zeros(0, np.float32))
    assert voice.take() is None
    voice.put(tone(0.01))
    voice.take()
    assert played == [480, 240]


def test_stamps_go_on_by_a_packet_and_over_a_pause_by_the_time_it_took() -> None:
    pace = Pace(100.0)
    assert [pace.stamp(100 + n * 0.02, waited=False) for n in range(3)] == [0, OPUS_FRAME, 2 * OPUS_FRAME]
    assert pace.due == pytest.approx(100.06)
    assert pace.stamp(101.0, waited=True) == 48_000
    assert pace.due == pytest.approx(101.02)


def test_a_loop_that_was_held_up_catches_up_and_one_that_stood_still_does_not() -> None:
    pace = Pace(0.0)
    pace.stamp(0.0, waited=False)
    assert pace.stamp(0.1, waited=False) == OPUS_FRAME
    assert pace.due == pytest.approx(0.04)  # the next ones leave at once
    assert pace.stamp(5.0, waited=False) == 240_000
    assert pace.due == pytest.approx(5.02)


def test_one_packet_leaves_every_20_ms_and_none_while_there_is_silence() -> None:
    async def scenario() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        voice = Voice(lambda _: None)
        outlet = Outlet(voice)
        left: list[tuple[float, int]] = []

        async def send() -> None:
            while True:
                _, stamp = await outlet.packet()
                left.append((round(loop.time(), 3), stamp))

        sending = asyncio.create_task(send())
        await asyncio.sleep(1.0)
        voice.put(tone(0.1))
        await asyncio.sleep(1.0)
        voice.put(tone(0.02))
        await asyncio.sleep(1.0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return left

    left = run(scenario())
    # five of sound and two of silence, and the same again
    assert [at for at, _ in left] == [1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 2.0, 2.02, 2.04]
    stamps = [stamp for _, stamp in left]
    assert stamps[:7] == [48_000 + n * OPUS_FRAME for n in range(7)]
    assert stamps[7:] == [96_000 + n * OPUS_FRAME for n in range(3)]


def test_what_is_encoded_sounds_the_same() -> None:
    codec = OpusCodec()
    made = packets(1.0)
    assert len(made) == 50
    assert sum(map(len, made)) * 8 < 40_000
    sound = np.concatenate([codec.decode(packet) for packet in made])
    assert len(sound) == 48_000
    assert level(sound[9_600:], 48_000) == pytest.approx(0.4, rel=0.1)


# in


def hear(numbers: list[int], made: list[bytes]) -> tuple[Ear, Samples]:
    """All of them at once, and the time after which nothing is waited for."""
    heard: list[Samples] = []

    async def scenario() -> Ear:
        ear = Ear(heard.append)
        for number in numbers:
            ear.hear(number, number * OPUS_FRAME, made[number])
        await asyncio.sleep(0.07)
        return ear

    return run(scenario()), np.concatenate(heard)


def test_a_microphone_is_heard_at_its_level() -> None:
    made = packets(1.0)
    ear, sound = hear(list(range(50)), made)
    assert len(sound) == pytest.approx(SPEECH_RATE, abs=64)
    assert level(sound[3_200:]) == pytest.approx(0.4, rel=0.1)
    assert ear.reorder.lost == 0


def test_every_packet_is_heard_as_soon_as_it_comes() -> None:
    heard: list[Samples] = []
    ear = Ear(heard.append)
    for number, packet in enumerate(packets(0.2)):
        ear.hear(number, number * OPUS_FRAME, packet)
        assert len(heard) == number + 1
        assert sum(map(len, heard)) >= (number + 1) * 320 - 48


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_lost_packets_leave_the_length_and_most_of_the_sound(loss: float) -> None:
    chance = np.random.default_rng(3)
    made = packets(2.0)
    numbers = [n for n in range(100) if n in (0, 99) or chance.random() >= loss]
    ear, sound = hear(numbers, made)
    assert len(sound) == pytest.approx(2 * SPEECH_RATE, abs=64)
    assert level(sound[3_200:]) > 0.4 * (1 - 1.5 * loss)
    assert ear.reorder.lost == 100 - len(numbers)


def test_packets_out_of_order_are_heard_in_order() -> None:
    made = packets(1.0)
    swapped = [n ^ 1 for n in range(50)]
    swapped[0], swapped[1] = 0, 1
    _, straight = hear(list(range(50)), made)
    _, sound = hear(swapped, made)
    assert np.array_equal(sound, straight)


def test_a_missing_packet_is_waited_for_60_ms_whatever_comes_behind_it() -> None:
    made = packets(0.3)
    heard: list[tuple[float, int]] = []

    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        ear = Ear(lambda sound: heard.append((round(clock(), 3), len(sound))))
        start = clock()
        for number, at in ((0, 0.0), (2, 0.04), (3, 0.09), (4, 0.2), (6, 0.22)):
            await asyncio.sleep(start + at - clock())
            ear.hear(number, number * OPUS_FRAME, made[number])
        ear.close()
        await asyncio.sleep(1)
        heard[:] = [(round(when - start, 3), samples) for when, samples in heard]

    run(scenario())
    assert [when for when, _ in heard] == [0.0, 0.1, 0.2]  # what was behind the last hole is left: it was closed
    assert sum(samples for _, samples in heard) == pytest.approx(5 * 320, abs=64)


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\xff\x00", b"\x7b\xff" + b"x" * 40, b"\xfc" + b"\xff" * 200])
def test_what_is_no_opus_is_passed_over_and_the_rest_is_heard(payload: bytes) -> None:
    made = packets(0.4)
    made[5] = payload
    _, sound = hear(list(range(20)), made)
    assert len(sound) >= 0.38 * SPEECH_RATE
    assert level(sound[-3_200:]) > 0.3
