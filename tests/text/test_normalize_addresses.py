import pytest

from voxgate.text.normalize_addresses import Spelling, email, say, url, word_rules_for_schemes

SPELLING = Spelling(
    dot="dot",
    at="at",
    slash="slash",
    dash="dash",
    underscore="underscore",
    plus="plus",
    number=lambda figures: f"<{figures}>",
    digits=" ".join,
    letters="-".join,
    said=frozenset(("com",)),
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("example.com", "example dot com"),
        ("https://www.example.com/docs?x=1#top", "example dot com slash docs"),
        ("example.vn/a-b_c", "example dot v-n slash a dash b underscore c"),
        ("example.com/v12/2026", "example dot com slash v <12> slash 2 0 2 6"),
        ("example.com/" + "a" * 60, "example dot com"),
        ("example.com:8080", "example dot com"),
    ],
)
def test_pages(text: str, said: str) -> None:
    rule = url(SPELLING)
    found = rule.pattern.fullmatch(text)
    assert found is not None
    assert rule.say(found) == said


@pytest.mark.parametrize("text", ["main.py", "Node.js", "e.g.", "3.14", "a@b.com", "end.Next"])
def test_what_is_no_page(text: str) -> None:
    assert url(SPELLING).pattern.match(text) is None


def test_people() -> None:
    rule = email(SPELLING)
    found = rule.pattern.match("jane_d+x7@mail.example.com, or")
    assert found is not None
    assert rule.say(found) == "jane underscore d plus x <7> at mail dot example dot com"


def test_a_scheme_makes_an_address_of_any_host() -> None:
    rule = word_rules_for_schemes(SPELLING)["http"][0]
    found = rule.pattern.match("http://localhost:8080/x")
    assert found is not None
    assert rule.say(found) == "localhost slash x"


def test_letters_of_other_scripts_are_kept() -> None:
    assert say(SPELLING, "bücher.de", ending=True) == "bücher dot d-e"
