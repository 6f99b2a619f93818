"""Who may enter the voice agent's namespace, and what the others are told."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.gateways.agent_client import House, house
from tests.recordings import spoken
from voxgate.audio.framing import to_pcm16
from voxgate.domain import Scope

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all the tests: they need sessions of their own, not servers."""
    async with house(tmp_path_factory.mktemp("agent")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(server: House) -> str:
    return await server.new_key("owners")


async def test_a_key_and_a_voice_in_the_query_as_the_published_sample_has_it(server: House, key: str) -> None:
    async with server.client(query=f"?api_key={key}&voice=mekdes") as client:
        told = await client.until("connected")
        assert (told["status"], told["voice"]) == ("connected", "mekdes")
        assert told["sid"] == client.io.get_sid("/v1/audio/agent")
        assert told["message"]


@pytest.mark.parametrize("place", ["auth", "bearer", "header"])
async def test_where_else_a_key_may_stand(server: House, key: str, place: str) -> None:
    headers = {"bearer": {"Authorization": f"Bearer {key}"}, "header": {"X-API-Key": key}}.get(place)
    auth = {"api_key": key, "voice": "alloy"} if place == "auth" else None
    async with server.client(query="", auth=auth, headers=headers) as client:
        told = await client.until("connected")
        assert told["voice"] == ("alloy" if place == "auth" else None)


@pytest.mark.parametrize("query", ["", "?api_key=", "?api_key=vg_wrong"])
async def test_a_bad_key_is_told_by_an_error_event_and_nothing_else(server: House, query: str) -> None:
    async with server.client(query=query) as client:
        assert await client.next() == (
            "error",
            {
                "type": "authentication_error",
                "code": "invalid_api_key",
                "message": "an API key is required: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
                if query in ("", "?api_key=")
                else "this API key is not valid: unknown, revoked or expired",
            },
        )
        await client.left()
        assert client.events.empty()


@pytest.mark.parametrize(("tier", "enters"), [("free", False), ("beta", False), ("pro", False), ("owner", True)])
async def test_the_tier_decides(server: House, tier: str, enters: bool) -> None:
    async with server.client(await server.new_key(f"org of {tier}", tier=tier)) as client:
        if enters:
            await client.until("connected")
        else:
            assert (await client.error())[:2] == ("authorization_error", "permission_denied")
            await client.left()


@pytest.mark.parametrize(("scope", "enters"), [(Scope.AGENT, True), (Scope.SPEECH, False)])
async def test_a_client_secret_needs_the_scope(server: House, key: str, scope: Scope, enters: bool) -> None:
    async with server.inside.client(key) as http:
        minted = await http.post("/v1/realtime/client_secrets", json={"scopes": [scope.value]})
    async with server.client(minted.json()["value"]) as client:
        if enters:
            await client.until("connected")
        else:
            assert (await client.error())[:2] == ("authorization_error", "permission_denied")
            await client.left()


async def test_polling_is_served_too(server: House, key: str) -> None:
    async with server.client(key, polling=True) as client:
        assert client.io.transport() == "polling"
        await client.until("connected")
        await client.start(output_format="pcm16")
        talk = server.talks[-1]
        await client.emit("audio_chunk", {"audio": to_pcm16(spoken()[:1600])})
        await talk.until(lambda: bool(talk.heard))
        await client.emit("end_session")
        await client.until("session_ended")


async def test_who_polls_without_a_key_is_told_and_closed_too(server: House) -> None:
    async with server.client("vg_wrong", polling=True) as client:
        assert (await client.error())[0] == "authentication_error"
        await client.left()
