from voxgate.conversation.exchange import Turn


def test_a_turn_that_was_reopened_says_both_parts() -> None:
    turn = Turn(1, 0, "en")
    assert turn.text() == ""
    assert turn.text("I want") == "I want"
    turn.said.append(("I want", "en"))
    turn.raw.append(("I, uh, want", "en"))
    assert turn.text("a coffee") == "I want a coffee"
    assert turn.written("a coffee") == "I, uh, want a coffee"


def test_scripts_without_spaces_are_joined_without() -> None:
    turn = Turn(1, 0, "ja", said=[("こんにちは。", "ja")])
    assert turn.text("元気？") == "こんにちは。元気？"
