"""Starting the espeak-ng process, or saying how to get it."""

from importlib.util import find_spec

from voxgate.engines.pool import Pool, WorkerSpec
from voxgate.errors import Code, EngineError
from voxgate.ports import Metrics

REQUIRES = ("espeakng_loader", "pip install 'voxgate[espeak]'")
"""The module that brings espeak-ng, and the command that adds it."""


async def start_espeak(name: str, metrics: Metrics) -> Pool:
    """A running espeak-ng process of its own for the engine `name`. Raises EngineError `engine_unavailable` without it.

    One process, one thread: espeak-ng is not re-entrant, and a piece takes it 0.1 ms (phonemes) to 10 ms (speech).
    Piper and the espeak voices have one each, so that nobody's first word waits for somebody else's paragraph.
    """
    module, command = REQUIRES
    if find_spec(module) is None:  # looked for, never imported: the library stays out of this process
        raise EngineError(
            f"the {name} engine needs espeak-ng, which is not installed; add it with: {command}",
            engine=name,
            code=Code.ENGINE_UNAVAILABLE,
        )
    spec = WorkerSpec(name=f"{name}-espeak", factory="voxgate.engines.espeak_worker:create", arguments={})
    pool = Pool(spec, metrics)
    await pool.start()
    return pool
