import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.normalize_markup import plain, tidy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Title\n\nText", "Title.\nText"),
        ("Is it?\n-----\nYes", "Is it?\nYes"),
        ("* one\n* two", "one\ntwo"),
        ("> > - [x] deep", "deep"),
        ("**a** *b* ***c*** __d__ _e_", "a b c d e"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("`x` and ~~y~~", "x and y"),
        ("~~~\ncode\n~~~", "code"),
        ('[a [b](c)](d) ![e](f "t")', "a b e"),
        ("said so[1].[^note]", "said so."),
        ("| a | |\n|:--|--:|\n| b | c |", "a.\nb, c."),
        ("<h1>One</h1><p>two<br/>three", "One\ntwo\nthree"),
        ("<style>b{}</style>x<!-- y -->", "x"),
        ("<https://example.com> <me@x.org>", "https://example.com me@x.org"),
        ("5 < 6 and a<b", "5 < 6 and a<b"),
        ("&copy; &#65; &#x42; &amp;amp; &lt;i&gt; &nosuch;", "© A B & i &nosuch;"),
        ("snake_case my_file.py", "snake case my_file.py"),
        ("a😀b 👩‍💻 🇻🇳 3️⃣ ☎", "ab 3"),
        ("Hi :-) <3", "Hi"),
        ("zero\u200bwidth \x07bell", "zerowidth bell"),
        ("What?!! No..... yes -- or , , no", "What? No... yes, or, no"),
        ("--", ""),
    ],
)
def test_words_stay_and_marks_go(text: str, words: str) -> None:
    assert tidy(plain(text)) == words


@given(st.text(alphabet="ab .,!?-—\n\t_=:;…", max_size=80))
def test_tidying_twice_is_once(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
