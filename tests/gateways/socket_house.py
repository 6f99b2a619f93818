"""A server in this process whose sockets tests speak to, and what its books say."""

import asyncio
from dataclasses import dataclass

from tests.inside import Inside


@dataclass
class House:
    """A server in this process, and its address."""

    inside: Inside
    url: str
    """`ws://…`, without a path."""

    async def balance(self, key: str | None = None) -> tuple[float, float]:
        """(balance, held) in credits."""
        async with self.inside.client(key) as http:
            answer = (await http.get("/v1/credits")).json()
        return answer["balance"], answer["held"]

    async def usage(self, session_id: str, key: str | None = None) -> list[tuple[dict[str, int], str]]:
        """(units, credits) of the usage records of a session."""
        async with self.inside.client(key) as http:
            rows = (await http.get("/v1/usage", params={"request_id": session_id})).json()["data"]
        return [(row["units"], str(row["credits"])) for row in rows]

    async def billed(self, session_id: str, key: str | None = None) -> tuple[dict[str, int], str]:
        """(units, credits) of a session, as soon as they are in the books; nothing is held any more."""
        for _ in range(200):
            if rows := await self.usage(session_id, key):
                assert len(rows) == 1
                assert (await self.balance(key))[1] == 0
                return rows[0]
            await asyncio.sleep(0.01)
        raise AssertionError("the session was not billed")
