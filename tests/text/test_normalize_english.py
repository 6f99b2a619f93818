from voxgate.text.normalize_english import rulebook


def test_what_advanced_adds() -> None:
    text = "Dr. Lee's API: 555-123-4567, e.g. 5 km"
    basic, advanced = (rulebook(advanced=level, day_first=False).apply(text) for level in (False, True))
    assert basic == "Doctor Lee's API: 555-123-4567, e.g. five kilometers"
    assert advanced == (
        "Doctor Lee's A-P-I: five five five, one two three, four five six seven, for example five kilometers"
    )


def test_the_order_of_day_and_month() -> None:
    text = "3/4/2026 and 2026-04-03"
    assert rulebook(advanced=False, day_first=False).apply(text) == (
        "March fourth, twenty twenty-six and April third, twenty twenty-six"
    )
    assert rulebook(advanced=False, day_first=True).apply(text) == (
        "the third of April twenty twenty-six and the third of April twenty twenty-six"
    )
