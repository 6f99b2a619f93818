import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.errors import Code, PeerError
from voxgate.languages import ENGLISH, Language, all_languages, parse, serving


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("vietnamese", "vi"),
        ("vi", "vi"),
        ("vi-VN", "vi"),
        ("VI_vn", "vi"),
        ("vie", "vi"),
        (" Vietnamese ", "vi"),
        ("singlish", "en-SG"),
        ("en-SG", "en-SG"),
        ("EN_sg", "en-SG"),
        ("en-US", "en"),
        ("English", "en"),
        ("chinese", "zh"),
        ("zh-Hant-TW", "zh"),
        ("mandarin", "zh"),
        ("korean", "ko"),
        ("thai", "th"),
        ("indonesian", "id"),
        ("malay", "ms"),
        ("tamil", "ta"),
        ("filipino", "fil"),
        ("tl", "fil"),
        ("tl-PH", "fil"),
        ("tagalog", "fil"),
        ("amharic", "am"),
        ("am", "am"),
        ("somali", "so"),
        ("so", "so"),
        ("tigrinya", "ti"),
        ("ti", "ti"),
        ("oromo", "om"),
        ("om", "om"),
        ("eng", "en"),
    ],
)
def test_names_codes_and_tags_in_any_case(text: str, tag: str) -> None:
    assert parse(text).tag == tag
    assert parse(text.upper()).tag == tag


@pytest.mark.parametrize("text", ["", " ", "-", "-en", "xx", "klingon", "english please", "e" * 1000, "vi\0", "\ud800"])
def test_what_is_no_language_is_told(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        parse(text, param="lang")
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_LANGUAGE, "lang")
    assert len(caught.value.message) < 300
    caught.value.message.encode()  # it can be sent


@given(st.text())
def test_no_text_breaks_the_registry(text: str) -> None:
    try:
        assert parse(text) in all_languages()
    except PeerError as error:
        assert error.code is Code.UNSUPPORTED_LANGUAGE


def test_every_language_is_found_by_its_tag_and_its_name() -> None:
    languages = all_languages()
    assert len({language.tag for language in languages}) == len(languages)
    for language in languages:
        assert parse(language.tag) is parse(language.name) is language


def test_a_region_stands_on_its_language() -> None:
    assert parse("singlish").base == ENGLISH.tag == ENGLISH.base == "en"
    tags = {language.tag for language in all_languages()}
    assert {language.base for language in all_languages()} <= tags


def test_an_engine_for_a_language_serves_its_regions_but_not_the_other_way_round() -> None:
    singlish = parse("singlish")
    assert serving(singlish, ["en", "en-SG"]) == "en-SG"
    assert serving(singlish, ["vi", "en"]) == "en"
    assert serving(singlish, ["vi"]) is None
    assert serving(ENGLISH, ["en-SG"]) is None
    assert serving(ENGLISH, []) is None
    assert serving(Language("zh", "Chinese"), {"zh": "fair"}) == "zh"
