"""What a WebSocket costs before anything is done with what it brings.

    nice python -m benchmarks.sockets [--connections 50] [--seconds 20]

The server (sockets, shell, door; keys in memory; uvloop) runs in a process of its own, whose processor time is read
from the system; the clients are bare and share another. A frame of 20 ms is 640 bytes of audio, or 892 characters of
JSON and base64.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from websockets.frames import Frame, Opcode

from tests.gateways.socket_server import KEY, LIVE, Bare, served
from voxgate.domain import Principal
from voxgate.gateways.sockets import Handler, Peer

AUDIO = bytes(range(256)) * 2 + bytes(128)
"""20 ms at 16 kHz."""
BINARY = Frame(Opcode.BINARY, AUDIO).serialize(mask=True)
TEXT = Frame(
    Opcode.TEXT, json.dumps({"type": "audio.append", "audio": base64.b64encode(AUDIO).decode()}).encode()
).serialize(mask=True)


async def echo(peer: Peer, _principal: Principal) -> None:
    peer.post("ready")
    while (message := await peer.receive()) is not None:
        peer.post(message)
        await peer.drained()


async def ignore(peer: Peer, _principal: Principal) -> None:
    peer.post("ready")
    while await peer.receive() is not None:
        pass


HANDLERS: dict[str, Handler] = {"echo": echo, "ignore": ignore}


async def serve(handler: Handler) -> None:
    """Serve until the standard input ends."""
    async with served(handler, concurrent_requests=5_000, concurrent_requests_per_key=5_000) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@dataclass
class Served:
    """A server in a process of its own."""

    handler: str
    process: "subprocess.Popen[str]" = field(init=False)
    url: str = field(init=False)

    def __enter__(self) -> "Served":
        command = [sys.executable, "-m", "benchmarks.sockets", "--serve", self.handler]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        while not (line := self.process.stdout.readline()).startswith("ws"):
            assert line, "the server ended"
        self.url = f"{line.strip()}{LIVE}?api_key={KEY}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()

    def busy_s(self) -> float:
        """Processor seconds so far."""
        numbers = self._told("stat").rpartition(") ")[2].split()
        return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self) -> int:
        """Memory of its own."""
        return sum(int(line.split()[1]) for line in self._told("smaps_rollup").splitlines() if "Private_" in line)

    def _told(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


def p(values: list[float], percent: int) -> float:
    """A percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def talk(client: Bare, frame: bytes, number: int, seconds: float, trips: list[float], *, answered: bool) -> None:
    """Send a frame every 20 ms; where it comes back, note how long that took."""
    loop = asyncio.get_running_loop()
    due = loop.time() + number * 0.02 / 50
    until = due + seconds
    while due < until:
        await asyncio.sleep(due - loop.time())
        began = loop.time()
        client.writer.write(frame)
        if answered:
            await client.read()
            trips.append((time.monotonic() - began) * 1000)
        due += 0.02


async def floor(connections: int, seconds: float) -> None:
    """Processor time of one connection that sends 50 frames a second."""
    for handler in ("ignore", "echo"):
        for name, frame in {"binary": BINARY, "JSON": TEXT}.items():
            with Served(handler) as server:
                clients = [await Bare.connect(server.url) for _ in range(connections)]
                for client in clients:
                    await client.read()
                before, trips = server.busy_s(), list[float]()
                began = time.monotonic()
                async with asyncio.TaskGroup() as group:
                    for number, client in enumerate(clients):
                        group.create_task(talk(client, frame, number, seconds, trips, answered=handler == "echo"))
                took = time.monotonic() - began
                share = 100 * (server.busy_s() - before) / took / connections
                lag = f", round trip p50 {p(trips, 50):.2f} ms, p95 {p(trips, 95):.2f} ms" if trips else ""
                print(f"{connections} × 50 frames/s, {name:<6} {handler:<6} {share:.2f} % of a core each{lag}")
                for client in clients:
                    client.leave()


async def connecting(runs: int) -> None:
    """From the first byte of a connection to the first frame."""
    with Served("ignore") as server:
        took = []
        for _ in range(runs):
            began = time.perf_counter()
            client = await Bare.connect(server.url)
            await client.read()
            took.append((time.perf_counter() - began) * 1000)
            client.leave()
    print(f"connect -> first frame, {runs} one after the other: p50 {p(took, 50):.2f} ms, p95 {p(took, 95):.2f} ms")


async def idle(count: int) -> None:
    """Memory and processor time of connections on which nothing happens."""
    with Served("ignore") as server:
        before = server.memory_kib()
        clients = [await Bare.connect(server.url) for _ in range(count)]
        for client in clients:
            await client.read()
            client.writer.write(TEXT)
        await asyncio.sleep(1)
        each = (server.memory_kib() - before) / count
        busy = server.busy_s()
        await asyncio.sleep(10)
        share = 100 * (server.busy_s() - busy) / 10
        print(f"{count} idle connections: {each:.1f} KiB each; {share:.2f} % of a core for all of them")
        for client in clients:
            client.leave()


async def main(connections: int, seconds: float) -> None:
    """Everything, one after the other."""
    await connecting(300)
    await idle(1_000)
    await floor(connections, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--serve", choices=HANDLERS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        uvloop.run(serve(HANDLERS[chosen.serve]))
    else:
        uvloop.run(main(chosen.connections, chosen.seconds))
