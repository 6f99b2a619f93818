import asyncio
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import Recorder
from tests.serving import SCRIPTED, Server
from voxgate.app import HELLO, EngineRoom, Started, assemble, open_engines, open_store, serve
from voxgate.calls import EndReason, Latency, Outcome, TurnRecord
from voxgate.errors import Code, ConfigError, EngineError, StoreError
from voxgate.planning import Plan, load_settings, plan
from voxgate.records import SessionOpened
from voxgate.store.sessions import SqlSessions

pytestmark = pytest.mark.slow

QUIET = (
    SCRIPTED + '[server]\nport = 0\n[voices.aliases.valsea-default]\ngender = "neutral"\nuse = ["scripted_tts/tone"]\n'
)


async def planned(folder: Path, toml: str = QUIET, **environ: str) -> Plan:
    path = folder / "voxgate.toml"
    path.write_text(toml)
    environ = {"VOXGATE_DATA_DIR": str(folder / "data"), "VOXGATE_MODELS_DIR": str(folder / "models")} | environ
    return await plan(load_settings(path, environ), environ)


@asynccontextmanager
async def serving(what: Plan, on_key: Callable[[str], None] = lambda _: None) -> AsyncIterator[Started]:
    """`serve` in this process, once it is ready; ended by the signal an operator would send."""
    ready: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(what, on_key=on_key, on_ready=ready.set_result))
    running.add_done_callback(lambda _: ready.cancel())
    await asyncio.wait({ready})
    if ready.cancelled():
        await running
    yield ready.result()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 10)


# engines


async def test_engines_come_up_side_by_side_and_those_that_cannot_say_why(tmp_path: Path) -> None:
    what = await planned(tmp_path, SCRIPTED.replace("scripted_llm", "llama"))
    room = EngineRoom(what, Recorder())
    before = room.readiness()
    assert not before.ready
    assert set(before.loading) == {"scripted_stt", "scripted_tts", "scripted_vad", "scripted_turn", "llama", "pyav"}
    with pytest.raises(EngineError) as caught:
        room.vad()
    assert room.turn() is None
    assert caught.value.code is Code.ENGINE_UNAVAILABLE
    with pytest.raises(EngineError, match="is still being loaded"):
        room.switchboard.ears("whisper-1", None)
    await room.start()
    after = room.readiness()
    assert (after.ready, after.loading, after.missing) == (True, (), ("smollm2-135m-instruct-q4_1",))
    assert len(after.problems) == 1
    assert after.problems[0].endswith("; run: voxgate models pull smollm2-135m-instruct-q4_1")
    assert room.vad().window == 512
    detector = room.turn()
    assert detector is not None
    assert await detector.complete(np.zeros(16_000, np.float32)) == 0.5
    assert room.decoder()
    assert room.switchboard.ears("whisper-1", None).name == "scripted_stt"
    await room.aclose()
    with pytest.raises(EngineError, match="is shut down"):
        room.switchboard.ears("whisper-1", None)
    await room.aclose()


async def test_only_some_ports_for_a_command(tmp_path: Path) -> None:
    async with open_engines(await planned(tmp_path), Recorder(), frozenset({"tts"})) as room:
        assert room.readiness().ready
        assert room.switchboard.mouth("tts-1", "alloy", "en", "x").name == "scripted_tts"
        with pytest.raises(EngineError):
            room.switchboard.ears("whisper-1", None)


# the store


async def test_the_database_lies_in_the_data_directory(tmp_path: Path) -> None:
    what = await planned(tmp_path)
    async with open_store(what.settings) as (database, accounts):
        await database.ping()
        assert await accounts.organizations() == ()
    assert (tmp_path / "data" / "voxgate.db").exists()


async def test_or_where_its_url_says(tmp_path: Path) -> None:
    what = await planned(tmp_path, VOXGATE__STORE__URL=f"sqlite:///{tmp_path}/other.db")
    async with open_store(what.settings):
        pass
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "data").exists()


async def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    what = await planned(tmp_path, VOXGATE_DATA_DIR=str(tmp_path / "data" / "below"))
    with pytest.raises(ConfigError, match="cannot be made: Not a directory") as caught:
        async with open_store(what.settings):
            pass
    assert caught.value.param == "server.data_dir"


async def test_a_database_that_is_none_is_left_as_it_is(tmp_path: Path) -> None:
    what = await planned(tmp_path)
    (tmp_path / "data").mkdir()
    junk = tmp_path / "data" / "voxgate.db"
    junk.write_bytes(b"this is not a database" * 100)
    with pytest.raises((StoreError, ConfigError)):
        async with open_store(what.settings):
            pass
    assert junk.read_bytes() == b"this is not a database" * 100


# the server


async def test_the_first_start_makes_a_key_and_a_recording_and_later_ones_do_not(tmp_path: Path) -> None:
    what = await planned(tmp_path)
    keys: list[str] = []
    async with serving(what, keys.append) as started:
        (key,) = keys
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=started.url, headers=headers, trust_env=False) as client:
            left = (await client.get("/v1/credits")).json()
            assert (left["org"], left["tier"], left["balance"]) == ("development", "owner", 1_000_000)
            assert (await client.get("/readyz")).status_code == 200
        assert started.hello == tmp_path / "data" / "hello.wav"
        with wave.open(str(started.hello)) as recording:
            assert recording.getnframes() / recording.getframerate() == pytest.approx(len(HELLO.split()) / 4, abs=0.1)
    assert key.encode() not in (tmp_path / "data" / "voxgate.db").read_bytes()
    written = started.hello.stat().st_mtime_ns
    async with serving(what, keys.append) as started:
        assert keys == [key]
        assert started.hello is not None
        assert started.hello.stat().st_mtime_ns == written


async def test_a_second_server_on_a_data_directory_is_refused(tmp_path: Path) -> None:
    what = await planned(tmp_path)
    async with serving(what):
        with pytest.raises(ConfigError) as caught:
            async with serving(what):
                pass
        async with open_store(what.settings) as (_, accounts):
            assert len(await accounts.organizations()) == 1, "commands may work beside a server"
    assert caught.value.param == "server.data_dir"
    assert f"another server is running on the data directory {tmp_path / 'data'}" in caught.value.message
    async with serving(what):
        pass  # the lock went with its server


async def test_a_second_server_on_a_port_is_refused_before_it_touches_anything(tmp_path: Path) -> None:
    async with serving(await planned(tmp_path)) as started:
        port = started.url.rpartition(":")[2]
        (tmp_path / "other").mkdir()
        what = await planned(tmp_path / "other", SCRIPTED, VOXGATE_PORT=port)
        with pytest.raises(ConfigError, match="Address already in use"):
            async with serving(what):
                pass
    assert not (tmp_path / "other" / "data").exists()


async def test_without_a_voice_there_is_no_recording_and_the_server_is_ready(tmp_path: Path) -> None:
    async with serving(await planned(tmp_path, SCRIPTED + "[server]\nport = 0\n")) as started:
        assert started.hello is None


async def test_a_recording_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "data" / "hello.new").mkdir(parents=True)
    async with serving(await planned(tmp_path)) as started:
        assert started.hello is None


# what only a process shows


@pytest.mark.slow
def test_the_first_words_of_a_server(tmp_path: Path) -> None:
    server = Server(tmp_path, QUIET)
    assert f"  {server.key}\n" in server.out
    assert "hears English (good)" in server.out
    assert f'-H "Authorization: Bearer {server.key}" -F model=whisper-1 -F file=@data/hello.wav' in server.out
    curl = next(line for line in server.out.splitlines() if line.strip().startswith("curl"))
    heard = subprocess.run(curl, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert '"text":"This is what the script says."' in heard
    assert server.stop() == 0
    again = Server(tmp_path, QUIET)
    assert again.key == ""
    assert "$VOXGATE_API_KEY" in again.out
    assert server.key not in again.out + again.log
    assert again.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_engines_are_loaded_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "voxgate.toml").write_text(SCRIPTED + "[server]\nport = 0\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("VOXGATE_", "OPENAI_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "voxgate", "serve"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while "vg_" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.15)  # engines are loading: the decoder's process takes longer than this
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listed


HEAVY = ("av", "onnxruntime", "xllamacpp", "ctranslate2", "tokenizers", "alembic")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("voxgate.app", HEAVY),
        ("voxgate.cli.main", (*HEAVY, "sqlalchemy", "fastapi", "pydantic", "rich", "httpx", "websockets")),
    ],
)
def test_what_a_start_imports_is_light(module: str, absent: tuple[str, ...]) -> None:
    code = f"import {module}, sys\nprint([name for name in {absent!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n", "import it in the function that uses it"


# the record of calls


def _turn(session: str, at: datetime) -> TurnRecord:
    return TurnRecord(
        call=session,
        turn=1,
        reply=1,
        ended_at=at,
        ended_by="typed",
        heard="swordfish",
        language="en",
        purpose="answer",
        text="",
        spoken="",
        reply_language="en",
        outcome=Outcome.HEARD,
        latency=Latency(),
        speech_ms=0,
        played_ms=1,
        suspected=0,
        guessed=False,
        discarded=0,
    )


async def test_a_server_records_calls_and_erases_what_is_too_old(tmp_path: Path) -> None:
    what = await planned(tmp_path, QUIET + "[transcripts]\nkeep_days = 3\n")
    now = datetime.now(UTC)
    async with assemble(what) as server:
        created = await server.accounts.ensure_development_org()
        assert created is not None
        [key] = await server.accounts.keys()
        [org] = await server.accounts.organizations()
        for session, at in (("sess_old", now - timedelta(days=4)), ("sess_new", now)):
            server.record.open(SessionOpened(session, org.id, key.id, "agent", "aria", "en", at))
            for observer in server.observers:
                observer.turn(_turn(session, at))
        server.record.close("sess_new", EndReason.SERVER)
    async with open_store(what.settings) as (database, _):
        written = await SqlSessions(database).sessions(limit=9)
        assert [(kept.opened.id, kept.turns, kept.reason) for kept in written] == [
            ("sess_new", 1, EndReason.SERVER),
            ("sess_old", 1, None),
        ], "what waited was written when the server stopped"
    async with assemble(what) as server:
        assert await server.record.sweep() in (0, 2), "0: the server's own sweep was first"
        async with open_store(what.settings) as (database, _):
            assert [kept.opened.id for kept in await SqlSessions(database).sessions(limit=9)] == ["sess_new"]


async def test_nothing_is_traced_unless_a_collector_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    async with assemble(await planned(tmp_path)) as server:
        assert server.observers == (server.record,)
    async with assemble(await planned(tmp_path, QUIET + '[observe]\notlp_endpoint = "http://127.0.0.1:9"\n')) as server:
        assert [type(observer).__name__ for observer in server.observers] == ["Transcripts", "Traces"]
