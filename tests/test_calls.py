"""The nouns of a call."""

from voxgate.calls import CallRequest, Latency, Stage


def test_a_stage_that_began_on_a_guess_starts_before_the_zero() -> None:
    assert Stage(-20.0, 180.0).ms == 200.0


def test_the_whole_is_known_once_audio_is_on_the_wire() -> None:
    assert Latency(first_audio=Stage(300, 400)).total_ms is None
    assert Latency(wire=Stage(400, 412)).total_ms == 412


def test_what_a_caller_wrote_for_the_model_is_in_no_repr() -> None:
    asked = CallRequest("c1", instructions="You are a pirate.", greeting="Ahoy!")
    assert "pirate" not in repr(asked)
    assert "Ahoy" not in repr(asked)
