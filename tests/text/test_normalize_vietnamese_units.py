from voxgate.text.normalize_vietnamese_units import CURRENCIES, CURRENCY_CODES, MAGNITUDES, PER, TITLES, UNITS


def test_tables_fit_together() -> None:
    assert set(CURRENCY_CODES.values()) <= set(CURRENCIES)
    assert all(title.endswith((".", "S")) for title in TITLES)


def test_nothing_said_would_be_said_again() -> None:
    words = [*UNITS.values(), *PER.values(), *MAGNITUDES.values(), *TITLES.values()]
    assert not any(figure.isdigit() for word in words for figure in word)
    assert not set(UNITS.values()) & set(UNITS)
