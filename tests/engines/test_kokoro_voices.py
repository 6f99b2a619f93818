"""The voices as data."""

from voxgate.engines.kokoro_text import DIALECTS
from voxgate.engines.kokoro_voices import JA_EXTRA, TONGUES, VOICES, ZH_EXTRA, gain_db
from voxgate.languages import all_languages


def test_every_voice_has_a_language_a_gender_and_a_level() -> None:
    assert len(set(VOICES)) == 54
    for voice in VOICES:
        assert voice[0] in TONGUES
        assert voice[1] in "fm"
        assert voice[2] == "_"
        assert -12 < gain_db(voice) < 6


def test_languages_are_known_and_have_a_reader() -> None:
    known = {language.tag for language in all_languages()}
    for tongue in TONGUES.values():
        assert tongue.tag in known
        assert tongue.dialect in DIALECTS
        assert bool(tongue.espeak) != bool(tongue.extra)
    assert TONGUES["z"].extra == ZH_EXTRA
    assert TONGUES["j"].extra == JA_EXTRA
    assert len({tongue.tag for tongue in TONGUES.values()}) == 8
