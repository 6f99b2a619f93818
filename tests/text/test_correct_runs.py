"""Where the numbers of a text are."""

import pytest

from voxgate.text.correct_runs import Run, Runs


def found(text: str) -> list[str]:
    runs = Runs(text)
    return [text[slice(*runs.span(run))] for run in runs.runs()]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I have twenty five cats", ["twenty five"]),
        ("twenty-five or thirty", ["twenty-five", "thirty"]),
        ("two hundred and five men and women", ["two hundred and five"]),
        ("between two hundred and five hundred", ["two hundred", "five hundred"]),
        ("two hundred and then five", ["two hundred", "five"]),
        ("fifteenth twenty twenty", ["fifteenth", "twenty twenty"]),
        ("twenty first", ["twenty first"]),
        ("five oh two", ["five oh two"]),
        ("nine zero oh.", ["nine zero oh"]),
        ("nine oh well", ["nine"]),
        ("oh five five five", ["oh five five five"]),
        ("oh five people", ["five"]),
        ("double five six", ["double five six"]),
        ("a double room", []),
        ("a hundred people", []),
        ("", []),
    ],
)
def test_runs(text: str, wanted: list[str]) -> None:
    assert found(text) == wanted


def test_what_stands_around_a_run() -> None:
    runs = Runs("Ten cats. He paid Twenty-Five, really")
    first, second = runs.runs()
    assert (runs.before(first), runs.after(first), runs.begins(first)) == ("", "cats", True)
    assert (runs.before(second), runs.after(second), runs.begins(second)) == ("paid", "", False)
    assert second == Run(4, 6)
    assert runs.words(second) == ["twenty", "five"]
    assert (runs.gap(4), runs.gap(99), runs.near(3, gap=3), runs.near(6, gap=5)) == ("-", "", "paid", "")


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("nine or ten", {0, 1}),
        ("twenty or thirty", set()),
        ("eight, nine, ten and twenty", {0, 1, 2, 3}),
        ("nine out of ten", {0, 1}),
        ("nine cats or ten", {0}),
        ("ten to one", {0, 1}),
    ],
)
def test_numbers_beside_small_ones(text: str, linked: set[int]) -> None:
    runs = Runs(text)
    assert runs.linked_to_small(list(runs.runs())) == linked
