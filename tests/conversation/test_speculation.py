import pytest

from voxgate.conversation.speculation import Load, Speculate, Speculation


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("sounds", [True, False])
def test_on_and_off_are_that(remote: bool, sounds: bool) -> None:
    busy = Load(cores=1, making=9)
    assert Speculation(Speculate.ON, remote=remote, load=busy).may(sounds_complete=sounds)
    assert not Speculation(Speculate.OFF, remote=remote, load=Load(4)).may(sounds_complete=sounds)


def test_our_own_model_guesses_while_a_core_is_left() -> None:
    load = Load(cores=2)
    speculation = Speculation(Speculate.AUTO, remote=False, load=load)
    assert speculation.may(sounds_complete=False)
    speculation.guessed()
    assert speculation.may(sounds_complete=False)
    load.making = 2
    assert not speculation.may(sounds_complete=True)


def test_a_model_that_is_paid_for_guesses_once_a_turn_when_it_sounds_over() -> None:
    speculation = Speculation(Speculate.AUTO, remote=True, load=Load(4))
    assert not speculation.may(sounds_complete=False)
    assert speculation.may(sounds_complete=True)
    speculation.guessed()
    assert not speculation.may(sounds_complete=True)
    speculation.begin()
    assert speculation.may(sounds_complete=True)
