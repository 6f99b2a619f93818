from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from voxgate.config import Loaded, Settings, load, parse_section, rows
from voxgate.errors import Code, ConfigError

KEY = "sk-very-secret"


class Door(Settings):
    """One entry of `doors`."""

    width_mm: int = 800
    key: SecretStr | None = None


class House(Settings):
    """`[house]`"""

    rooms: int = Field(default=3, ge=1)
    rent: Annotated[Decimal, Field(ge=0)] = Decimal("1.5")
    area_m2: float = 20.0
    kind: Literal["flat", "villa"] = "flat"
    pets: bool = False
    names: tuple[str, ...] = ("a", "b")
    alarm: SecretStr | None = None
    doors: dict[str, Door] = Field(default_factory=dict)
    codes: dict[str, SecretStr] = Field(default_factory=dict)
    front: Door = Door()
    back: Door | None = None
    street: str = ""


class Whole(Settings):
    """A configuration."""

    house: House = House()
    log: dict[str, str] = Field(default_factory=dict)


def read(toml: str = "", folder: Path | None = None, **environ: str) -> Loaded[Whole]:
    path = None
    if folder is not None:
        path = folder / "voxgate.toml"
        path.write_text(toml, encoding="utf-8")
    return load(Whole, path=path, environ=environ)


def refused(toml: str = "", folder: Path | None = None, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(toml, folder, **environ)
    assert caught.value.code is Code.INVALID_CONFIG
    return caught.value


def test_without_a_source_everything_has_its_default() -> None:
    loaded = load(Whole, environ={})
    assert loaded.settings == Whole()
    assert loaded.origins == {}


def test_later_sources_win_key_by_key_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[house]\nrooms = 4\narea_m2 = 50\nstreet = 'Übergasse'")
    loaded = load(
        Whole,
        path=path,
        environ={"VOXGATE__HOUSE__ROOMS": "5", "VOXGATE__HOUSE__PETS": "true"},
        overrides={"house.rooms": 6},
    )
    house = loaded.settings.house
    assert (house.rooms, house.pets, house.area_m2, house.street) == (6, True, 50.0, "Übergasse")
    assert loaded.origins == {
        "house.rooms": "command line",
        "house.pets": "environment VOXGATE__HOUSE__PETS",
        "house.area_m2": "mine.toml",
        "house.street": "mine.toml",
    }


def test_variables_with_names_of_their_own() -> None:
    names = {"ROOMS": "house.rooms", "STREET": "house.street"}
    loaded = load(Whole, environ={"ROOMS": "7", "STREET": ""}, names=names)
    assert loaded.settings.house.rooms == 7
    assert loaded.origins == {"house.rooms": "environment ROOMS"}
    both = {"ROOMS": "7", "VOXGATE__HOUSE__ROOMS": "8"}
    assert load(Whole, environ=both, names=names).settings.house.rooms == 8
    with pytest.raises(ConfigError, match=r"^environment ROOMS: house\.rooms: "):
        load(Whole, environ={"ROOMS": "many"}, names=names)


def test_every_kind_of_value_from_the_environment() -> None:
    house = read(
        VOXGATE__HOUSE__ROOMS="12",
        VOXGATE__HOUSE__RENT="0.000001",
        VOXGATE__HOUSE__AREA_M2="1e2",
        VOXGATE__HOUSE__KIND="villa",
        VOXGATE__HOUSE__PETS="false",
        VOXGATE__HOUSE__NAMES='["x", "y, z"]',
        VOXGATE__HOUSE__ALARM=KEY,
        VOXGATE__HOUSE__DOORS="{north-east = {width_mm = 900}}",
        VOXGATE__HOUSE__FRONT__WIDTH_MM="1000",
        VOXGATE__HOUSE__STREET="= 7 # 'quoted' \"too\"",
    ).settings.house
    assert house.rooms == 12
    assert house.rent == Decimal("0.000001")
    assert house.area_m2 == 100.0
    assert (house.kind, house.pets, house.names) == ("villa", False, ("x", "y, z"))
    assert house.alarm is not None
    assert house.alarm.get_secret_value() == KEY
    assert house.doors["north-east"].width_mm == 900
    assert house.front.width_mm == 1000
    assert house.street == "= 7 # 'quoted' \"too\""


def test_a_decimal_of_the_file_is_exact(tmp_path: Path) -> None:
    assert read("house.rent = 0.1", tmp_path).settings.house.rent == Decimal("0.1")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_of_the_environment_arrives_as_it_is(text: str) -> None:
    if not text.lstrip().startswith(("[", "{")):
        assert read(VOXGATE__HOUSE__STREET=text).settings.house.street == text


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Whole().house.rooms = 1


@pytest.mark.parametrize(
    ("toml", "param", "told"),
    [
        ("[house]\nroms = 1", "house.roms", "did you mean 'house.rooms'?"),
        ("[hous]\nrooms = 1", "hous", "did you mean 'house'?"),
        ("[house.front]\nwidth = 1", "house.front.width", "did you mean 'house.front.width_mm'?"),
        ("[house.back]\nwidth = 1", "house.back.width", "did you mean 'house.back.width_mm'?"),
        ("[house.doors.east]\nwidht_mm = 1", "house.doors.east.widht_mm", "did you mean 'house.doors.east.width_mm'?"),
        ("[house.front]\nzzz = 1", "house.front.zzz", "known here: key, width_mm"),
        ("[house]\nrooms_file = 'x'", "house.rooms_file", "did you mean 'house.rooms'?"),
        ("[house]\ncodes_file = 'x'", "house.codes_file", "there is no setting"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_one(tmp_path: Path, toml: str, param: str, told: str) -> None:
    error = refused(toml, tmp_path)
    assert error.param == param
    assert error.message.startswith("voxgate.toml: ")
    assert repr(param) in error.message
    assert told in error.message


def test_an_unknown_key_of_the_environment_names_the_variable() -> None:
    error = refused(VOXGATE__HOUSE__ROOM="1")
    assert error.message == (
        "environment VOXGATE__HOUSE__ROOM: there is no setting 'house.room'; did you mean 'house.rooms'?"
    )
    assert refused(VOXGATE__HOUSE__="1").param == "house."


@pytest.mark.parametrize(
    ("toml", "param", "told"),
    [
        ("house.rooms = 'many'", "house.rooms", "valid integer"),
        ("house.rooms = 0", "house.rooms", "greater than or equal to 1"),
        ("house.rent = -1", "house.rent", "greater than or equal to 0"),
        ("house.rent = nan", "house.rent", "finite"),
        ("house.kind = 'tent'", "house.kind", "'flat' or 'villa'"),
        ("house.names = 'a'", "house.names", 'such as ["one", "two"]'),
        ("house.names = [1]", "house.names.0", "valid string"),
        ("house.front = 3", "house.front", "must be a table"),
        ("house.doors = []", "house.doors", "must be a table"),
        ("house.rooms = {a = 1}", "house.rooms", "valid integer"),
        ("house = 1", "house", "must be a table"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_its_source(tmp_path: Path, toml: str, param: str, told: str) -> None:
    error = refused(toml, tmp_path)
    assert error.param == param
    assert f"{param}: " in error.message
    assert told in error.message
    if "{" not in toml:
        assert error.message.startswith("voxgate.toml: ")


def test_a_list_of_the_environment_that_is_none() -> None:
    assert refused(VOXGATE__HOUSE__NAMES="[a").message.startswith("VOXGATE__HOUSE__NAMES is not a TOML list or table")
    assert 'such as ["one", "two"]' in refused(VOXGATE__HOUSE__NAMES="a,b").message


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(Whole, path=tmp_path / "none.toml", environ={})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(Whole, path=tmp_path, environ={})
    assert "not valid TOML" in refused("house = ", tmp_path).message
    (tmp_path / "latin.toml").write_bytes("house.street = 'Ü'".encode("latin-1"))
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(Whole, path=tmp_path / "latin.toml", environ={})


def test_a_secret_can_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")
    loaded = read(f"[house]\nalarm_file = '{secret}'\nfront.key_file = '{secret}'", tmp_path)
    for found in (loaded.settings.house.alarm, loaded.settings.house.front.key):
        assert found is not None
        assert found.get_secret_value() == KEY
    shown = {key: (value, origin) for key, value, origin in rows(loaded.settings, "", loaded.origins)}
    assert shown["house.alarm"] == ("**********", "voxgate.toml")


def test_a_secret_file_that_cannot_be_used(tmp_path: Path) -> None:
    missing = refused(f"house.alarm_file = '{tmp_path}/none'", tmp_path)
    assert missing.param == "house.alarm_file"
    assert "No such file" in missing.message
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "is no text" in refused(f"house.alarm_file = '{tmp_path}/binary'", tmp_path).message
    both = refused(f"[house]\nalarm = '{KEY}'\nalarm_file = '{tmp_path}/none'", tmp_path)
    assert "house.alarm and house.alarm_file are both set" in both.message
    assert KEY not in both.message


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    loaded = read(f"[house]\nalarm = '{KEY}'\ndoors.a.key = '{KEY}'\ncodes.a = '{KEY}'", tmp_path)
    assert KEY not in repr(loaded)
    assert KEY not in str(loaded.settings)
    shown = list(rows(loaded.settings, "", loaded.origins))
    assert KEY not in repr(shown)
    assert ("house.codes.a", "**********", "voxgate.toml") in shown
    wrong = refused(f"[house]\nalarm = ['{KEY}']", tmp_path)
    assert KEY not in wrong.message


def test_rows_show_every_setting_and_where_it_came_from() -> None:
    loaded = read(VOXGATE__HOUSE__PETS="yes", VOXGATE__HOUSE__NAMES='["x"]', VOXGATE__LOG__A="b")
    shown = {key: (value, origin) for key, value, origin in rows(loaded.settings, "", loaded.origins)}
    assert shown["house.rooms"] == ("3", "default")
    assert shown["house.rent"] == ("1.5", "default")
    assert shown["house.pets"] == ("true", "environment VOXGATE__HOUSE__PETS")
    assert shown["house.names"] == ("[x]", "environment VOXGATE__HOUSE__NAMES")
    assert shown["house.front.width_mm"] == ("800", "default")
    assert shown["house.back"] == ("", "default")
    assert shown["log.a"] == ("b", "environment VOXGATE__LOG__A")


@pytest.mark.parametrize(
    ("street", "shown"),
    [
        ("postgresql://voxgate:pa55@db:5432/voxgate", "postgresql://voxgate:**********@db:5432/voxgate"),
        ("https://:pa55@mirror/", "https://:**********@mirror/"),
        ("http://127.0.0.1:8080/a@b", "http://127.0.0.1:8080/a@b"),
        ("half past 5: tea @ home", "half past 5: tea @ home"),
    ],
)
def test_rows_hide_the_password_of_an_address(street: str, shown: str) -> None:
    assert ("s.street", shown, "default") in list(rows(House(street=street), "s", {}))


def test_a_section_whose_schema_is_known_later(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    section = {"width_mm": "700", "key_file": str(secret)}
    door = parse_section(Door, section, at="doors.a", origins={})
    assert door.width_mm == 700
    assert door.key is not None
    assert door.key.get_secret_value() == KEY
    assert "key_file" in section, "the section itself is left alone"
    with pytest.raises(ConfigError) as caught:
        parse_section(Door, {"width": 1}, at="doors.a", origins={"doors.a.width": "voxgate.toml"})
    assert caught.value.message == (
        "voxgate.toml: there is no setting 'doors.a.width'; did you mean 'doors.a.width_mm'?"
    )
    with pytest.raises(ConfigError, match=r"^here: doors\.a\.width_mm: input should be a valid integer"):
        parse_section(Door, {"width_mm": "x"}, at="doors.a", origins={"doors.a.width_mm": "here"})
