from voxgate.text.pauses import end_mark, pause_ms


def test_pauses_follow_the_punctuation() -> None:
    assert (
        pause_ms("Yes.")
        == pause_ms('"Yes."')
        == pause_ms("是。")
        > pause_ms("yes;")
        > pause_ms("yes,")
        > pause_ms("yes")
    )


def test_what_a_text_ends_in_is_seen_through_what_closes_it() -> None:
    assert end_mark('He said "Yes?" ') == "?"
    assert end_mark("(是。)") == "."
    assert end_mark("") == ""
    assert end_mark("a word") == "d"
