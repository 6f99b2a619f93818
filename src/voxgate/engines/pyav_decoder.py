"""Audio files of any container, decoded by PyAV (ffmpeg's libraries) outside the server.

Files come from strangers, and media parsers are where memory gets corrupted. A worker process decodes one file at a
time, so what a file breaks is its own. If a worker dies, the file is taken up again where it stood: one that kills its
worker twice at the same place is refused as damaged, one whose worker was killed from outside goes on.

Workers are forks of one process that has imported PyAV (see pool.Birth): eight of them take 40 MB. A file holds its
worker for as long as its reader takes, so there are more of them than cores.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from voxgate.domain import Samples
from voxgate.engines.pool import Birth, Pool, WorkerSpec
from voxgate.errors import Code, EngineError, PeerError
from voxgate.ports import EngineContext, EnginePlugin


class Settings(BaseModel):
    """`[engines.pyav]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_file_s: float = Field(default=4 * 3600.0, gt=0)
    """Longest audio one file may hold, in seconds."""
    files_per_core: int = Field(default=4, ge=1)
    """Files that may be open at once, for each core; further ones wait, then are refused as `busy`."""


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    skip: int
    """Blocks the reader already has."""


class DecodingRunner:
    """What runs in the worker: one file after another, in blocks of a second."""

    def __init__(self, max_file_s: float) -> None:
        self._max_file_s = max_file_s

    def run(self, request: _Request, cancelled: Callable[[], bool]) -> Iterator[Samples]:
        """The blocks of one file from `request.skip` on."""
        from voxgate.audio.codecs.container import decode

        with Path(request.path).open("rb") as file:
            for number, block in enumerate(decode(file, max_seconds=self._max_file_s)):
                if cancelled():
                    return
                if number >= request.skip:
                    yield block


def runner(max_file_s: float) -> DecodingRunner:
    """The worker's factory: imports what decoding needs, so that its forks share it."""
    import av
    import soxr

    av.logging.set_level(None)
    soxr.ResampleStream(8_000, 16_000, 1, dtype="float32")
    return DecodingRunner(max_file_s)


class PyavDecoder:
    """Port `AudioDecoder`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def open(self, path: Path) -> AsyncIterator[AsyncIterator[Samples]]:
        """The first audio track as blocks of a second.

        Raises PeerError `invalid_audio` or `input_too_long` (see audio/codecs/container.py) while reading, RefusedError
        `busy` where all workers are taken, EngineError where the server is going down.
        """
        blocks = self._blocks(path)
        try:
            yield blocks
        finally:
            await blocks.aclose()

    async def _blocks(self, path: Path) -> AsyncGenerator[Samples]:
        given = 0
        while True:
            before = given
            try:
                async with self._pool.open(_Request(str(path), given)) as results:
                    async for block in results:
                        given += 1
                        yield block
            except EngineError as error:
                if not error.retryable:
                    raise
                if given == before:
                    raise PeerError(
                        "The file cannot be decoded; it is damaged.", code=Code.INVALID_AUDIO, param="file"
                    ) from error
            else:
                return

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers, for tests and the status page."""
        return self._pool.pids

    async def aclose(self) -> None:
        """End the workers."""
        await self._pool.aclose()


def worker_spec(
    context: EngineContext, settings: Settings, *, factory: str = "voxgate.engines.pyav_decoder:runner"
) -> WorkerSpec:
    """The workers, all of them forks of one process."""
    return WorkerSpec(
        name=context.name,
        factory=factory,
        arguments={"max_file_s": settings.max_file_s},
        processes=max(1, context.cores * settings.files_per_core),
        birth=Birth.FORK,
        environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )


async def create(context: EngineContext, settings: Settings) -> PyavDecoder:
    """Start the workers. Raises EngineError."""
    pool = Pool(worker_spec(context, settings), context.metrics)
    await pool.start()
    return PyavDecoder(pool)


PLUGIN = EnginePlugin(port="decoder", settings=Settings, create=create)
