import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.ending import Ending, ending

C, M, U = Ending.COMPLETE, Ending.OPEN, Ending.UNKNOWN  # M: more must follow


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I would like to order a pizza and.", M),
        ("I would like to order a", M),
        ("I want to", M),
        ("I'd love to.", U),
        ("My name is", M),
        ("Yes, it is.", U),
        ("I can", U),
        ("the capital of France is", M),
        ("I think", M),
        ("I think so", U),
        ("It was cold, so", M),
        ("Um", M),
        ("Well, um", M),
        ("When I was young,", M),
        ("I was going to the...", M),
        ("I was thinking —", M),
        ("What time is it?", C),
        ("Who is it for?", C),
        ("who is it for", U),
        ("Who are you waiting for, the?", M),
        ("Can you?", U),
        ("Tell me", M),
        ("Two tickets, please.", C),
        ("Thank you.", C),
        ("That's all", C),
        ("Yes.", C),
        ("I don't know.", C),
        ("I live in Paris.", U),
        ("Turn the light on", U),
        ("I'd like two", U),
        ("In 1999", U),
        ("I", U),
        ("", U),
        ("...", U),
    ],
)
def test_english(text: str, expected: Ending) -> None:
    assert ending(text, "en") is expected
    assert ending(text, "en-SG") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My phone number is 555", M),
        ("my number is five five five", M),
        ("five five five one two three four", U),
        ("five five five one two three four five six seven", C),
        ("Call me at 555 123 4567.", C),
        ("The code is 12", M),
        ("The code is 1234", U),
        ("double five, oh seven", M),
        ("I need one", U),
        ("It happened in 2024", U),
        ("số điện thoại của tôi là không chín không", M),
        ("không chín không một hai ba bốn năm sáu bảy", C),
    ],
)
def test_numbers_that_are_dictated(text: str, expected: Ending) -> None:
    assert ending(text, "vi" if "số" in text or "chín" in text else "en") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tôi muốn", M),
        ("Tôi không muốn", U),
        ("Tên tôi là", M),
        ("Tôi thích cà phê và", M),
        ("Bạn có khỏe không", C),
        ("Tôi không", M),
        ("Mấy giờ rồi?", C),
        ("Cái này bao nhiêu", C),
        ("Cảm ơn", C),
        ("Vâng.", C),
        ("Đi nhé", C),
        ("Tôi sống ở Hà Nội", U),
    ],
)
def test_vietnamese(text: str, expected: Ending) -> None:
    assert ending(text, "vi") is expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("今何時ですか？", "ja", C),
        ("明日は、", "ja", M),
        ("我想要…", "zh", M),
        ("오늘 날씨", "ko", U),
        ("Apa kabar?", "id", C),
    ],
)
def test_other_languages_by_punctuation(text: str, language: str, expected: Ending) -> None:
    assert ending(text, language) is expected


@given(st.text(max_size=60), st.sampled_from(["en", "vi", "ja", "xx"]))
def test_any_text_has_an_ending(text: str, language: str) -> None:
    assert ending(text, language) in Ending


@given(st.text(alphabet="abc de,?", max_size=30))
def test_a_full_stop_says_nothing(text: str) -> None:
    if text.strip() and text.strip()[-1].isalpha():
        assert ending(text + ".", "en") is ending(text, "en")
