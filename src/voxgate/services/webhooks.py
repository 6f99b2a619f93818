"""Tells the operator's own server what happens in rooms: signed, in order within a session, until it has taken it.

What is to be told is noted in the transaction in which it happens (store/outbox.py), so that nothing is lost with a
server. It is told at least once: whoever takes it remembers the `id` it has seen.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import orjson
import structlog
from pydantic import Field, SecretStr, field_validator, model_validator

from voxgate.clock import Clock
from voxgate.config import Settings
from voxgate.errors import StoreError
from voxgate.rooms import Due, Happened, Outbox
from voxgate.services.billing import to_credits

_log = structlog.get_logger(__name__)

SIGNATURE = "X-Voxgate-Signature"
"""Header: `t=UNIX SECONDS,v1=HEX`, the HMAC-SHA256 of `UNIX SECONDS.BODY` under the secret."""

_SECRET_CHARACTERS = 16
_FIRST_S = 5.0
_LONGEST_S = 3600.0
_AT_ONCE = 16
_LOOK_S = 1.0
_SWEEP_S = 60.0
_LEASE_S = 30.0  # beyond the timeout: until then nobody else tells the same

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""Sends a body to an address with some headers; the status of the answer. Raises OSError where there was none."""


class WebhookSettings(Settings):
    """`[webhooks]`"""

    url: str = ""
    """Address that is told of sessions in rooms, by POST; empty: nobody is."""
    secret: SecretStr = SecretStr("")
    """What the messages are signed with, at least 16 characters; the receiver knows it too."""
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    """How long an answer is waited for."""
    give_up_days: float = Field(default=3.0, gt=0, le=30)
    """How long a message that is not taken is sent again, ever more rarely, before it is given up."""

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be an address such as https://example.com/voxgate")
        return value

    @model_validator(mode="after")
    def _signed(self) -> "WebhookSettings":
        if self.url and len(self.secret.get_secret_value()) < _SECRET_CHARACTERS:
            raise ValueError(f"webhooks.url needs a webhooks.secret of at least {_SECRET_CHARACTERS} characters")
        return self


def sign(secret: str, seconds: int, body: bytes) -> str:
    """The value of the signature's header for a body that is sent at `seconds` (Unix time)."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts (>= 1): 5 s, twice as long each time, at most an hour."""
    return float(min(_LONGEST_S, _FIRST_S * 2 ** min(attempts - 1, 20)))


def message(due: Due, public_url: str) -> bytes:
    """The body, as JSON; the same with every attempt."""
    session = due.session
    data: dict[str, object] = {
        "sessionId": session.plan.session,
        "roomName": session.plan.room,
        "voicebotId": session.voicebot_id,
        "org": due.org_name,
        "startedAt": _moment(session.started_at),
    }
    if due.what is Happened.ENDED:
        assert session.ended_at is not None, "an end is noted where there is one"
        data |= {
            "endedAt": _moment(session.ended_at),
            "endReason": session.reason,
            "durationSeconds": session.duration_s,
            "billedMinutes": session.billed_minutes,
            "creditsUsed": orjson.Fragment(to_credits(session.charged)),
            "messagesUrl": f"{public_url}/v1/voicebot-livekit/session/{session.plan.room}/messages",
        }
    # Each of them happens to a session once, so this is one event's own, in whichever database.
    event = f"evt_{session.plan.session.removeprefix('sess_')}_{due.what.partition('.')[2]}"
    whole = {"id": event, "type": due.what, "createdAt": _moment(due.at), "data": data}
    return orjson.dumps(whole)


class Webhooks:
    """The task that tells."""

    def __init__(self, outbox: Outbox, clock: Clock, settings: WebhookSettings, post: Post, *, public_url: str) -> None:
        """`public_url`: what addresses in messages begin with; empty: they are paths."""
        self._outbox = outbox
        self._clock = clock
        self._settings = settings
        self._post = post
        self._public_url = public_url
        self._swept_at = float("-inf")

    async def run(self) -> None:
        """Until cancelled. A database that does not answer is asked again."""
        while True:
            if not await self.tick():
                await asyncio.sleep(_LOOK_S)

    async def tick(self) -> int:
        """One round: tell what is due. How much was taken."""
        try:
            await self._sweep()
            now = self._clock.now()
            until = now + timedelta(seconds=self._settings.timeout_s + _LEASE_S)
            due = await self._outbox.claim(now, until=until, limit=_AT_ONCE)
            return sum(await asyncio.gather(*(self._tell(each) for each in due)))
        except StoreError as error:
            _log.warning("webhooks_not_looked_after", error=error.message)
            return 0

    async def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now - self._swept_at < _SWEEP_S:
            return
        self._swept_at = now
        for session in await self._outbox.give_up(self._clock.now(), after=timedelta(days=self._settings.give_up_days)):
            _log.error("webhook_given_up", session_id=session, after_days=self._settings.give_up_days)

    async def _tell(self, due: Due) -> bool:
        body = message(due, self._public_url)
        seconds = int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Voxgate",
            SIGNATURE: sign(self._settings.secret.get_secret_value(), seconds, body),
        }
        try:
            status = await self._post(self._settings.url, body, headers)
            problem = "" if 200 <= status < 300 else f"status {status}"
        except OSError as error:
            problem = str(error)
        if not problem:
            await self._outbox.told(due.id)
            return True
        wait_s = pause_s(due.attempts)
        _log.warning(
            "webhook_not_taken",
            session_id=due.session.plan.session,
            attempts=due.attempts,
            problem=problem,
            next_s=wait_s,
        )
        await self._outbox.put_off(due.id, self._clock.now() + timedelta(seconds=wait_s))
        return False


@asynccontextmanager
async def posting(timeout_s: float) -> AsyncIterator[Post]:
    """A client that posts, with connections it keeps; it follows nobody who sends it elsewhere."""
    import httpx

    async with httpx.AsyncClient(timeout=timeout_s, follow_redirects=False) as client:

        async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
            try:
                async with client.stream("POST", url, content=body, headers=headers) as answer:
                    return answer.status_code  # what else it says is not read
            except httpx.HTTPError as error:
                raise OSError(type(error).__name__) from error  # its text may hold the address, and that a secret

        yield post


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
