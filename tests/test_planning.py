from pathlib import Path
from typing import Any

import pytest

from voxgate.engines import ollama
from voxgate.engines.ollama import Ollama
from voxgate.errors import ConfigError
from voxgate.planning import Plan, load_settings, model_store, plan

SECRET = "sk-secret"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, on a machine without Ollama."""

    async def nothing() -> None:
        return None

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ollama, "find_ollama", nothing)
    return tmp_path


async def planned(toml: str = "", **environ: str) -> Plan:
    Path("voxgate.toml").write_text(toml)
    return await plan(load_settings(None, environ), environ)


def engine(what: Plan, name: str) -> dict[str, Any]:
    (found,) = (engine for engine in what.engines if engine.name == name)
    return found.settings.model_dump()


# the configuration


def test_where_the_configuration_is_looked_for(folder: Path) -> None:
    assert load_settings(None, {}).settings.server.port == 8080
    (folder / "voxgate.toml").write_text("server.port = 1")
    (folder / "named.toml").write_text("server.port = 2")
    (folder / "given.toml").write_text("server.port = 3")
    assert load_settings(None, {}).settings.server.port == 1
    assert load_settings(None, {"VOXGATE_CONFIG": "named.toml"}).settings.server.port == 2
    assert load_settings(Path("given.toml"), {"VOXGATE_CONFIG": "named.toml"}).settings.server.port == 3
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(None, {"VOXGATE_CONFIG": "nowhere.toml"})


def test_the_short_names_of_the_environment() -> None:
    environ = {"VOXGATE_HOST": "::1", "VOXGATE_PORT": "9000", "VOXGATE_DATA_DIR": "/srv/voxgate"}
    loaded = load_settings(None, environ)
    assert loaded.settings.server.model_dump(include={"host", "port", "data_dir"}) == {
        "host": "::1",
        "port": 9000,
        "data_dir": Path("/srv/voxgate"),
    }
    assert loaded.origins["server.port"] == "environment VOXGATE_PORT"
    assert load_settings(None, environ, {"server.port": 7}).settings.server.port == 7
    with pytest.raises(ConfigError, match=r"^environment VOXGATE_PORT: server\.port: "):
        load_settings(None, {"VOXGATE_PORT": "70000"})


def test_models_lie_where_they_are_told_to() -> None:
    settings = load_settings(None, {"VOXGATE__MODELS__DIR": "/a"}).settings
    assert model_store(settings, {}).root == Path("/a")
    assert model_store(settings, {"VOXGATE_MODELS_DIR": "/b"}).root == Path("/b")


# which engines run


async def test_every_engine_that_is_named_runs_once() -> None:
    what = await planned(
        '[routing]\nstt = ["moonshine"]\ntts = ["piper", "espeak"]\nmodels = {fast = "openai/gpt", also = "openai"}'
    )
    assert [engine.name for engine in what.engines] == [
        "moonshine",
        "piper",
        "espeak",
        "llama",
        "openai",
        "silero",
        "smart_turn",
        "pyav",
    ]
    assert what.llm_order == ("llama",)
    assert what.cores >= 1


async def test_the_data_directory_is_absolute(folder: Path) -> None:
    assert (await planned()).data_dir == folder / "data"


@pytest.mark.parametrize(
    ("toml", "param", "told"),
    [
        ('stt = ["piper"]', "routing.stt", "'piper', which is tts, not stt"),
        ('tts = ["moonshine"]', "routing.tts", "'moonshine', which is stt, not tts"),
        ('llm = ["piper"]', "routing.llm", "'piper', which is tts, not llm"),
        ('vad = "pyav"', "routing.vad", "'pyav', which is decoder, not vad"),
        ('turn = "silero"', "routing.turn", "'silero', which is vad, not turn"),
        ('decoder = "silero"', "routing.decoder", "'silero', which is vad, not decoder"),
        ('models = {a = "silero"}', "routing.models", "'silero', which is vad, not stt or tts or llm"),
        ('stt = ["no_such"]', "engines.no_such.plugin", "there is no engine 'no_such'"),
    ],
)
async def test_an_engine_in_a_place_that_is_not_its_own(toml: str, param: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await planned(f"[routing]\n{toml}")
    assert caught.value.param == param
    assert told in caught.value.message


# the language model, where none is named


async def test_a_key_or_an_address_of_openais_own_variables_makes_it_the_language_model() -> None:
    what = await planned(OPENAI_API_KEY=SECRET)
    assert what.llm_order == ("openai",)
    settings = engine(what, "openai")
    assert settings["api_key"].get_secret_value() == SECRET
    assert settings["base_url"] == "https://api.openai.com/v1"
    assert settings["models"] == {"valsea-fast": "gpt-4o-mini"}
    rows = {key: (value, origin) for key, value, origin in what.rows()}
    assert rows["engines.openai.api_key"] == ("**********", "environment OPENAI_API_KEY")
    what = await planned(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert engine(what, "openai")["base_url"] == "http://127.0.0.1:1/v1"
    assert engine(what, "openai")["api_key"] is None


async def test_what_is_configured_is_completed_by_the_environment() -> None:
    what = await planned("[engines.openai]\nmodel = 'gpt-5'", OPENAI_API_KEY=SECRET, OPENAI_BASE_URL="http://h/v1")
    settings = engine(what, "openai")
    assert (settings["model"], settings["models"], settings["base_url"]) == ("gpt-5", {}, "http://h/v1")
    assert settings["api_key"].get_secret_value() == SECRET
    named = await planned("[routing]\nllm = ['openai']", OPENAI_API_KEY=SECRET)
    assert engine(named, "openai")["api_key"].get_secret_value() == SECRET


async def test_a_key_is_never_sent_to_a_server_it_was_not_meant_for() -> None:
    what = await planned("[engines.openai]\nbase_url = 'http://other/v1'", OPENAI_API_KEY=SECRET)
    assert engine(what, "openai")["api_key"] is None
    both = {"OPENAI_API_KEY": SECRET, "VOXGATE__ENGINES__OPENAI__API_KEY": "sk-given"}
    assert engine(await planned(**both), "openai")["api_key"].get_secret_value() == "sk-given"


async def test_another_language_model_needs_no_key_of_openais() -> None:
    what = await planned("[routing]\nllm = ['llama']", OPENAI_API_KEY=SECRET)
    assert "openai" not in {engine.name for engine in what.engines}


async def test_ollama_is_found_and_the_demo_model_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found() -> Ollama:
        return Ollama("http://127.0.0.1:11434/v1", "qwen3:4b", ("qwen3:4b",))

    assert (await planned()).llm_order == ("llama",)
    monkeypatch.setattr(ollama, "find_ollama", found)
    what = await planned()
    assert what.llm_order == ("ollama",)
    assert (engine(what, "ollama")["base_url"], engine(what, "ollama")["model"]) == (
        "http://127.0.0.1:11434/v1",
        "qwen3:4b",
    )
    assert (await planned("[engines.llama]\nslots = 1")).llm_order == ("llama",)


# what can be shown


async def test_no_secret_is_in_a_plan_that_is_printed() -> None:
    what = await planned(
        "[engines.openai]\napi_key = 'sk-secret'\nheaders = {X-Key = 'sk-secret'}",
        VOXGATE__STORE__URL="postgresql://voxgate:sk-secret@db/voxgate",
    )
    assert SECRET not in repr(what)
    assert SECRET not in repr(what.rows())
    assert ("store.url", "**********", "environment VOXGATE__STORE__URL") in what.rows()


async def test_rows_hold_the_settings_of_every_engine() -> None:
    what = await planned("[engines.scripted_stt]\ntext = 'x'\n[routing]\nstt = ['scripted_stt']")
    rows = {key: (value, origin) for key, value, origin in what.rows()}
    assert rows["engines.scripted_stt.text"] == ("x", "voxgate.toml")
    assert rows["engines.scripted_stt.decode_ms"] == ("0.0", "default")
    assert rows["server.port"] == ("8080", "default")


# the server


def test_where_the_server_stands(folder: Path) -> None:
    Path("voxgate.toml").write_text(
        '[server]\npublic_url = "https://voice.example.com/"\ntrusted_proxies = ["10.0.0.0/8", "fd00::1"]\n'
        'tls_certificate = "a.crt"\ntls_key = "a.key"\n'
    )
    server = load_settings(None, {}).settings.server
    assert server.public_url == "https://voice.example.com"
    assert server.trusted_proxies == ("10.0.0.0/8", "fd00::1")
    assert (server.tls_certificate, server.tls_key) == (Path("a.crt"), Path("a.key"))


@pytest.mark.parametrize(
    ("line", "param", "told"),
    [
        ('public_url = "voice.example.com"', "server.public_url", "an address such as"),
        ('public_url = "ftp://voice.example.com"', "server.public_url", "an address such as"),
        ('public_url = "https://"', "server.public_url", "an address such as"),
        ('public_url = "https://voice.example.com/?a=b"', "server.public_url", "an address such as"),
        ('trusted_proxies = ["10.0.0.1", "nginx"]', "server.trusted_proxies", "'nginx' is neither"),
        ('tls_key = "a.key"', "server", "belong together"),
        ('tls_certificate = "a.crt"', "server", "belong together"),
    ],
)
def test_where_a_server_cannot_stand(folder: Path, line: str, param: str, told: str) -> None:
    Path("voxgate.toml").write_text(f"[server]\n{line}\n")
    with pytest.raises(ConfigError, match=told) as caught:
        load_settings(None, {})
    assert caught.value.param == param
