"""One session of live transcription, from the client's side."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from voxgate.cli.remote import Remote, Wire
from voxgate.cli.sources import Source

PATH = "/v1/realtime"

Told = Callable[[dict[str, Any]], None]
"""Is given every message of the server from `session.ready` to `session.closed`."""


async def hear(
    remote: Remote, options: Mapping[str, Any], source: Source, told: Told, stop: asyncio.Event | None = None
) -> None:
    """Send a source, and tell what is heard, until the session is over: the source has ended, or `stop` was set.

    `options`: fields of `session.start`. Raises VoxgateError: what `remote.open` and `Wire.receive` raise, and, once
    everything before it has been heard, what the source raised.
    """
    async with remote.open(PATH) as wire:
        await wire.send("session.start", **options, sample_rate=source.rate)
        told(await wire.until("session.ready"))
        sending = asyncio.create_task(_send(wire, source, stop or asyncio.Event()))
        try:
            while (message := await wire.receive()) is not None:
                if isinstance(message, dict):
                    told(message)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if not sending.cancelled():
            sending.result()


async def _send(wire: Wire, source: Source, stop: asyncio.Event) -> None:
    try:
        async for piece in until(source.pieces, stop):
            if piece:
                await wire.send_audio(piece)
    finally:  # whatever became of the source: what was sent is heard to its end
        await wire.send("session.stop")


async def until(pieces: AsyncGenerator[bytes], stop: asyncio.Event) -> AsyncGenerator[bytes]:
    """The same pieces, until `stop` is set; then the generator is closed, also where it waits for its next piece."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(anext(pieces, None))
            try:
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done() or (piece := coming.result()) is None:
                    return
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            yield piece
    finally:
        stopping.cancel()
        await pieces.aclose()
