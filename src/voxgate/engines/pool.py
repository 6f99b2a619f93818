"""Blocking engines in worker processes: bounded queues, results as they come, restart on death.

An engine that holds the GIL, is not thread-safe or may take its process down runs here. How a worker is born is the
engine's choice (`Birth`), measured in docs/decisions/0005-how-workers-are-born.md. worker.py is the other side.

Partials of live speech are the work that may be left undone. They run on seats nobody else wants, keep `spec.reserved`
of them free, and are given up (`Shed`) where they cannot run or, if their engine can be stopped, when other work comes.
"""

import asyncio
import heapq
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from voxgate.engines.jobs import Job, Priority, Shed, Ticket, Worker
from voxgate.engines.processes import Birth, Processes, WorkerSpec, receive
from voxgate.engines.worker import BEGUN, CANCEL, FAILED, ITEM, RUN, Runner
from voxgate.errors import Code, EngineError, RefusedError, VoxgateError
from voxgate.ports import Metrics

__all__ = ["Birth", "Pool", "Priority", "Runner", "Shed", "Ticket", "WorkerSpec"]

log = structlog.get_logger(__name__)

_REST_S = (0.0, 0.1, 0.5, 2.0, 10.0)  # pauses before a worker that keeps dying is started again; the last one repeats
_LOOKS_PER_STALL = 10  # how often hung workers are looked for while one may hang
_HEALTHY_S = 10.0  # a worker that lived this long starts the pauses anew


class Pool:
    """The worker processes of one engine. Use it from one event loop, the one that runs on the main thread.

    (The kernel ends a worker when the thread that started it ends, so that none outlives the server.)
    """

    def __init__(self, spec: WorkerSpec, metrics: Metrics) -> None:
        self._spec = spec
        self._metrics = metrics
        self._processes = Processes(spec)
        self._numbers = itertools.count()
        self._waiting: list[Job] = []
        self._workers: list[Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaths = 0
        self._closed = False

    @property
    def name(self) -> str:
        """The engine's name."""
        return self._spec.name

    @property
    def seats(self) -> int:
        """How many jobs run at once, on the workers that are alive."""
        return len(self._workers) * self._spec.threads

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the live workers, and of the zygote, last."""
        zygote = self._processes.zygote_pid
        return tuple(worker.born.pid for worker in self._workers) + ((zygote,) if zygote else ())

    async def start(self) -> None:
        """Start the processes and wait until every one has loaded. Raises EngineError."""
        try:
            await asyncio.gather(*(self._hire() for _ in range(self._spec.processes)))
            self._keep(self._watch())
        except BaseException:
            await self.aclose()
            raise

    @asynccontextmanager
    async def open(self, request: Any, *, priority: Priority = Priority.FINAL) -> AsyncIterator[AsyncIterator[Any]]:
        """Run one job; its results as they come. Leaving the block cancels it. Raises RefusedError, EngineError.

        A job whose worker died before its first result is repeated once on another worker.
        """
        ticket = self.submit(lambda: request, priority)
        try:
            yield ticket
        finally:
            ticket.withdraw()

    async def call(self, request: Any, *, priority: Priority = Priority.FINAL) -> Any:
        """Run a job that yields exactly one result, and answer that."""
        return await self.submit(lambda: request, priority).result()

    def submit(self, request: Callable[[], Any], priority: Priority) -> Ticket:
        """Hand in a job whose request is asked for when a worker takes it: what waits never grows old.

        Raises RefusedError `busy`, EngineError, or Shed for a partial. Whoever does not await the ticket's results must
        withdraw it.
        """
        return Ticket(self, self._submit(request, priority))

    async def aclose(self) -> None:
        """End every process; waiting and running jobs get EngineError. Idempotent."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers, self._workers = self._workers, []
        self._fail(job for worker in workers for job in worker.jobs.values())
        self._fail(self._waiting)
        self._waiting.clear()
        await asyncio.gather(self._processes.aclose(), *(worker.born.bury() for worker in workers))

    # jobs

    def _submit(self, request: Callable[[], Any], priority: Priority) -> Job:
        if self._closed:
            raise self._gone()
        partial = priority is Priority.PARTIAL
        alike = sum((job.priority is Priority.PARTIAL) is partial for job in self._waiting)
        if alike >= self._spec.queue and not self._free():
            raise self._shed() if partial else self._busy()
        job = Job(next(self._numbers), request, priority)
        heapq.heappush(self._waiting, job)
        self._dispatch()
        return job

    def _free(self) -> int:
        return self.seats - sum(len(worker.jobs) for worker in self._workers)

    def _dispatch(self) -> None:
        """Hand waiting jobs, most urgent first, to the workers with most room."""
        while self._waiting:
            worker = min(self._workers, key=lambda w: len(w.jobs), default=None)
            if worker is None or len(worker.jobs) >= self._spec.threads:
                self._make_room()
                break
            if self._waiting[0].priority is Priority.PARTIAL and self._free() <= self._reserved():
                break
            job = heapq.heappop(self._waiting)
            job.worker = worker
            job.started = True
            job.moved = time.monotonic()
            worker.jobs[job.number] = job
            self._metrics.observe("queue_wait", time.perf_counter() - job.submitted, engine=self._spec.name)
            worker.send(RUN, job.number, job.request())
            job.news.set()
        self._measure()

    def _reserved(self) -> int:
        """Seats that partials keep free for other work; where there is but one seat, none is."""
        return min(self._spec.reserved, self.seats - 1)

    def _make_room(self) -> None:
        """Stop as many partials as other jobs wait, the youngest first, where stopping them is quick."""
        if not self._spec.stoppable:
            return
        running = [job for worker in self._workers for job in worker.jobs.values()]
        wanted = sum(job.priority is not Priority.PARTIAL for job in self._waiting) - sum(job.over for job in running)
        partials = [job for job in running if job.priority is Priority.PARTIAL and not job.over]
        for job in sorted(partials, reverse=True)[: max(0, wanted)]:
            assert job.worker is not None
            job.worker.send(CANCEL, job.number)
            job.tell(FAILED, self._shed())

    def promote(self, job: Job) -> None:
        """The job's result is wanted now."""
        job.priority = Priority.FINAL
        heapq.heapify(self._waiting)

    def withdraw(self, job: Job) -> None:
        """The caller has left; take the job back wherever it is."""
        if job.over:
            return
        job.over = True
        if job.worker is not None:
            job.worker.send(CANCEL, job.number)  # it stays on the worker's list until the worker says it is done
        elif job in self._waiting:
            self._waiting.remove(job)
            heapq.heapify(self._waiting)
            self._measure()

    async def wait_for_news(self, job: Job) -> None:
        """Until something happened to the job; a job that no worker takes in time is refused."""
        if job.started:
            await job.news.wait()
            return
        left = self._spec.wait_timeout_s - (time.perf_counter() - job.submitted)
        try:
            await asyncio.wait_for(job.news.wait(), max(left, 0.001))
        except TimeoutError:
            if not job.started:
                raise (self._shed() if job.priority is Priority.PARTIAL else self._busy()) from None

    def _measure(self) -> None:
        name = self._spec.name
        self._metrics.gauge("queued", len(self._waiting), engine=name)
        self._metrics.gauge("active", sum(len(worker.jobs) for worker in self._workers), engine=name)
        self._metrics.gauge("workers", len(self._workers), engine=name)

    def _busy(self) -> RefusedError:
        self._metrics.count("refused_busy", engine=self._spec.name)
        return RefusedError(
            f"the {self._spec.name} engine is at capacity; try again in a moment", code=Code.BUSY, retry_after_s=2
        )

    def _shed(self) -> Shed:
        self._metrics.count("partial_shed", engine=self._spec.name)
        return Shed()

    def _gone(self) -> EngineError:
        return EngineError(
            f"the {self._spec.name} engine is shutting down", engine=self._spec.name, code=Code.ENGINE_UNAVAILABLE
        )

    def _fail(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if not job.over:
                job.tell(FAILED, self._gone())

    # workers

    async def _hire(self) -> None:
        worker = Worker(await self._processes.bear())
        self._workers.append(worker)
        self._keep(self._listen(worker))
        self._dispatch()

    async def _listen(self, worker: Worker) -> None:
        """Pass results on until the worker dies, then replace it."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, number, *rest = await receive(worker.born.reader.readexactly)
                job = worker.jobs[number]
                if kind == BEGUN:
                    job.tries += 1
                    continue
                if kind != ITEM:
                    del worker.jobs[number]
                    job.worker = None
                if not job.over:
                    job.answered = True
                    job.tell(kind, *rest)
                if kind != ITEM:
                    self._dispatch()
        if not self._closed:
            await self._replace(worker)

    async def _watch(self) -> None:
        """End workers that hang: a job makes no progress although its reader waits for it, or has left long ago."""
        name, limit = self._spec.name, self._spec.stall_timeout_s
        while True:
            await asyncio.sleep(limit / _LOOKS_PER_STALL)
            for worker in self._workers:
                hung = [
                    job
                    for job in worker.jobs.values()
                    if (job.over or not job.results) and time.monotonic() - job.moved > limit
                ]
                if not hung:
                    continue
                log.error("engine worker hangs", engine=name, pid=worker.born.pid, jobs=len(hung))
                self._metrics.count("worker_hung", engine=name)
                for job in hung:
                    if not job.over:
                        job.tell(
                            FAILED,
                            EngineError(
                                f"the {name} engine gave no result for {limit:g} s",
                                engine=name,
                                code=Code.ENGINE_TIMEOUT,
                            ),
                        )
                with suppress(ProcessLookupError):
                    os.kill(worker.born.pid, signal.SIGKILL)  # its socket closes, and it is replaced

    async def _replace(self, dead: Worker) -> None:
        name = self._spec.name
        self._workers.remove(dead)
        status = await dead.born.bury()
        log.warning("engine worker died", engine=name, pid=dead.born.pid, status=status, jobs=len(dead.jobs))
        self._metrics.count("worker_restart", engine=name)
        for job in dead.jobs.values():
            job.worker = None
            if job.over:
                continue
            if job.answered or job.tries > 1:
                job.tell(FAILED, EngineError(f"the {name} engine died at work", engine=name, retryable=True))
            else:
                job.started = False
                if job.tries:
                    job.submitted = time.perf_counter()
                job.news.set()  # its reader starts to watch the clock again
                heapq.heappush(self._waiting, job)
        self._dispatch()
        self._deaths = 0 if time.monotonic() - dead.since > _HEALTHY_S else self._deaths + 1
        while not self._closed:
            await asyncio.sleep(_REST_S[min(self._deaths, len(_REST_S) - 1)])
            try:
                await self._hire()
            except VoxgateError as error:
                log.error("engine worker could not be started again", engine=name, error=error.message)
            except OSError as error:
                log.error("engine worker could not be started again", engine=name, error=str(error))
            else:
                return
            self._deaths += 1

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
