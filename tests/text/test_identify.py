import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.identify import identify

ALL = ["en", "vi", "zh", "ja", "ko", "th", "am", "ti", "ta", "id", "ms", "so", "om", "fil"]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("Your appointment is tomorrow at three.", "en"),
        ("Xin chào, đây là giọng nói Valsea.", "vi"),
        ("Xin chao, day la giong noi Valsea.", "vi"),
        ("今天天气很好", "zh"),
        ("今日はいい天気です", "ja"),
        ("안녕하세요", "ko"),
        ("สวัสดีครับ", "th"),
        ("ሰላም እንዴት ነህ", "am"),
        ("ሰላም ከመይ ኣለኻ", "ti"),
        ("வணக்கம்", "ta"),
        ("Selamat pagi, saya tidak bisa datang karena sakit.", "id"),
        ("Kumusta po, salamat sa inyo.", "fil"),
        ("12345", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_text(text: str, tag: str) -> None:
    assert identify(text, ALL, "en") == tag


def test_only_languages_on_offer_are_answered() -> None:
    assert identify("Xin chào", ["en", "am"], "en") == "en"
    assert identify("漢字", ["ja", "en"], "en") == "ja"


@given(st.text())
def test_any_text_has_an_answer_on_offer(text: str) -> None:
    assert identify(text, ["vi", "en"], "en") in {"vi", "en"}


def test_the_beginning_of_a_long_text_says_enough() -> None:
    assert identify("the and of " * 100 + "안녕하세요" * 900, ["en", "ko"], "ko") == "en"
