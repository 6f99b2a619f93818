import pytest

from voxgate.text.scripts import latin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain", "plain"),
        ("naïve café, Nguyễn Đức", "naïve café, Nguyễn Đức"),
        ("Москва", "Moskva"),
        ("Київ і щастя", "Kiyiv i shchastya"),
        ("Αθήνα", "Athina"),
        ("π, Ω", "pi, omega"),
        ("Seoul (서울)", "Seoul (seoul)"),
        ("すし and カメラ", "sushi and kamera"),
        ("Tokyo (東京)", "Tokyo"),
        ("say «你好» to me", "say «» to me"),
        ("ＡＢＣ１２３", "ABC123"),
    ],
)
def test_other_scripts_in_latin_letters(text: str, said: str) -> None:
    assert latin(text) == said


@pytest.mark.parametrize("text", ["你好", "שלום", "สวัสดี!"])
def test_nothing_is_left_of_a_text_in_another_script(text: str) -> None:
    assert latin(text) is None
