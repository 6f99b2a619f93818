from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.conversation.pictures import Pictures, Shown, instructed

IMAGES = {"menu": "Our dinner menu", "red-shoe": "", "sơ đồ": "", "a": ""}


def taken(*pieces: str, images: dict[str, str] = IMAGES) -> list[str | Shown]:
    """What comes out, with neighbouring texts as one."""
    pictures = Pictures(images)
    out = [each for piece in pieces for each in pictures.feed(piece)] + pictures.flush()
    joined: list[str | Shown] = []
    for each in out:
        if isinstance(each, str) and joined and isinstance(joined[-1], str):
            joined[-1] += each
        elif each:
            joined.append(each)
    return joined


@pytest.mark.parametrize(
    ("text", "comes"),
    [
        ("[[image:menu]] Here it is.", [Shown("menu"), "Here it is."]),
        ("Sure. [[image:menu]] Here it is.", ["Sure.", Shown("menu"), " Here it is."]),
        ("Here it is [[image:menu]].", ["Here it is", Shown("menu"), "."]),
        ("Here it is. [[image:menu]]", ["Here it is.", Shown("menu")]),
        ("Sure.\n\n[[image:menu]]\n\nHere.", ["Sure.", Shown("menu"), "\n\nHere."]),
        ("Both: [[image:menu]] [[image:a]] there.", ["Both:", Shown("menu"), Shown("a"), " there."]),
    ],
)
def test_marks_are_taken_out_with_the_space_they_stood_in(text: str, comes: list[str | Shown]) -> None:
    out = taken(text)
    if isinstance(out[0], Shown):
        out[1] = str(out[1]).lstrip()  # a reply begins with its first letter
    assert out == comes


@pytest.mark.parametrize(
    "mark",
    ["[[image:menu]]", "[image:menu]", "[[ Image : MENU ]]", "[[image:menu]", "[[image:menu", "[[IMAGE: menu ]]"],
)
def test_marks_as_models_write_them(mark: str) -> None:
    assert taken(f"See {mark} now") == ["See", Shown("menu"), " now"]


def test_a_picture_nobody_has_is_not_shown_and_its_mark_not_said() -> None:
    assert taken("See [[image:cellar]] now.") == ["See now."]


def test_a_mark_that_the_limit_of_tokens_cut_off_is_not_said() -> None:
    assert taken("See [[image:cel") == taken("See [[ima") == taken("See [[") == ["See"]
    assert taken("See [") == ["See ["]


def test_other_brackets_are_text() -> None:
    for text in ("An [aside] here.", "a[0][[1]]", "[[imagine that]]", "[image]", "[[", "x [ y"):
        assert taken(text, images={"menu": ""}) == ([text] if text != "[[" else [])


def test_a_picture_is_shown_where_it_is_named() -> None:
    assert taken("Look at the menu, please.") == ["Look at the menu", Shown("menu"), ", please."]
    assert taken("A Red Shoe!") == ["A Red Shoe", Shown("red-shoe"), "!"]
    assert taken("Here is our dinner menu") == ["Here is our dinner menu", Shown("menu")]
    assert taken("Đây là sơ đồ nhé") == ["Đây là sơ đồ", Shown("sơ đồ"), " nhé"]
    assert taken("これはメニューです", images={"メニュー": ""}) == ["これはメニュー", Shown("メニュー"), "です"]


def test_parts_of_words_and_short_keys_name_nothing() -> None:
    assert taken("Menus and documents are a redshoe matter.") == ["Menus and documents are a redshoe matter."]
    assert taken("the men", "us") == ["the menus"]
    assert taken("the men", "u") == ["the menu", Shown("menu")]


def test_each_picture_is_shown_once() -> None:
    shown = [each for each in taken("[[image:menu]] The menu. [[image:menu]]") if isinstance(each, Shown)]
    assert shown == [Shown("menu")]


def test_a_name_far_behind_others_is_found_whole_only() -> None:
    far = "word " * 100
    assert taken(far, "scat", far, images={"cat": ""}) == [far + "scat" + far]
    assert taken(*("scat" * 80), images={"cat": ""}) == ["scat" * 80]


def test_without_pictures_nothing_is_touched() -> None:
    assert taken("See [[image:menu]]", images={}) == ["See [[image:menu]]"]
    assert instructed("Be brief.", {}) == "Be brief."


def test_the_model_is_told_what_there_is() -> None:
    told = instructed("Be brief.", {"menu": "Our dinner menu", "x": ""})
    assert told.startswith("Be brief.\n\n")
    assert told.endswith("\n[[image:menu]] Our dinner menu\n[[image:x]]")


PARTS = st.sampled_from([*"[ [[ ] ]] image image: : menu red-shoe red shoe a . x [[image:".split(" "), " ", "\n"])


@settings(max_examples=400)
@given(st.lists(PARTS, max_size=25), st.data())
def test_it_does_not_matter_how_the_text_arrives(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    assert taken(*pieces) == taken(text) == taken(*text)
    said = "".join(each for each in taken(text) if isinstance(each, str))
    assert "[[image:menu]]" not in said
