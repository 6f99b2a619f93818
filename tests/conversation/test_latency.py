from voxgate.calls import Latency, Stage
from voxgate.conversation.latency import HeardAt, MadeAt, latency


def test_stages_count_from_the_last_sound() -> None:
    heard = HeardAt(ended=10.0, decided=10.5, asked=10.5, known=10.625)
    made = MadeAt(asked=10.625, token=10.75, clause=11.0, audio=11.25, sent=11.5)
    assert latency(heard, made) == Latency(
        endpointing=Stage(0, 500),
        stt_final=Stage(500, 625),
        first_token=Stage(625, 750),
        first_clause=Stage(750, 1000),
        first_audio=Stage(1000, 1250),
        wire=Stage(1250, 1500),
    )


def test_what_was_ready_in_the_pause_waits_for_the_decision() -> None:
    found = latency(HeardAt(10.0, 10.5, 10.0, 10.25), MadeAt(10.25, 10.25, 10.25, 10.375, 10.5))
    assert found.wire == Stage(500, 500)
    assert found.total_ms == 500


def test_what_did_not_happen_has_no_stage() -> None:
    assert latency(HeardAt(1.0), MadeAt(1.0)) == Latency()
    assert latency(HeardAt(1.0), MadeAt(1.0, token=1.5)).first_token == Stage(0, 500)
