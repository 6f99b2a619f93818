from voxgate.text.normalize_english_units import CURRENCIES, CURRENCY_CODES, MAGNITUDES, PER, UNITS


def test_tables_fit_together() -> None:
    assert set(CURRENCY_CODES.values()) <= set(CURRENCIES)
    assert all(bool(cent) == bool(cents) for _, _, cent, cents in CURRENCIES.values())
    assert all((one and many and not (one + many).isupper()) or one == "P-S-I" for one, many in UNITS.values())


def test_nothing_said_would_be_said_again() -> None:
    words = [word for pair in UNITS.values() for word in pair] + [*PER.values(), *MAGNITUDES.values()]
    assert not set(words) & {unit for unit in UNITS if len(unit) < 4}
    assert not any(figure.isdigit() for word in words for figure in word)
