"""What every way of fetching shares."""

from voxgate.models.fetching import Patience, SourceError, Stage, Step, silent


def test_a_source_error_blames_the_file_unless_it_says_the_host() -> None:
    assert not SourceError("not there").down
    assert SourceError("no answer", down=True).down
    assert str(SourceError("no answer", down=True)) == "no answer"


def test_nobody_has_to_watch() -> None:
    silent(Step("model", Stage.FETCHING, 1, 2))


def test_an_unreachable_source_costs_five_seconds() -> None:
    assert Patience().silent_s == 5.0
