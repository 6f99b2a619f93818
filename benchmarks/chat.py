"""How soon a language model answers and how fast it goes on, through our port: first token and tokens per second.

    python benchmarks/chat.py --model FOLDER [--threads 2] [--runs 8]    the demo model; FOLDER holds its GGUF
    python benchmarks/chat.py --base-url http://127.0.0.1:11434/v1 --name llama3.2    an OpenAI-compatible upstream
    python benchmarks/chat.py --scripted    what the port itself costs

A conversation grows turn by turn, as a caller's does, so each prompt begins like the one before.
"""

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

from voxgate.engines import llama_llm, openai_llm
from voxgate.ports import EngineContext, EnginePlugin, LanguageModel
from voxgate.testing import scripted

QUESTIONS = (
    "What is the capital of France?",
    "How many people live there?",
    "What should I see first?",
    "Is the food good?",
    "Thank you, that helps. What else?",
)


class Quiet:
    """A `ports.Metrics` that keeps nothing."""

    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None: ...

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


async def turn(engine: LanguageModel, messages: list[dict[str, str]]) -> tuple[float, float, int, str]:
    """Seconds to the first token, seconds from it to the last, tokens, and the reply."""
    body = {"messages": messages, "stream": True, "max_tokens": 60}
    began = time.perf_counter()
    first = last = 0.0
    said: list[str] = []
    async with engine.open(body) as answer:
        async for chunk in answer:
            text = "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
            if text:
                last = time.perf_counter()
                first = first or last
                said.append(text)
        tokens = (answer.usage or {}).get("completion_tokens", len(said))
    return first - began, last - first, tokens, "".join(said)


async def conversation(engine: LanguageModel, number: int) -> list[tuple[float, float]]:
    """(first token in ms, tokens per second after it) of each turn."""
    messages = [{"role": "system", "content": f"You are guide number {number}. Answer briefly, in plain English."}]
    results = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        first, rest, tokens, reply = await turn(engine, messages)
        messages.append({"role": "assistant", "content": reply})
        results.append((1000 * first, (tokens - 1) / rest if rest else 0.0))
    return results


async def measure(engine: LanguageModel, runs: int, at_once: int) -> None:
    """Print one row."""
    results: list[tuple[float, float]] = []
    for run in range(runs):
        together = await asyncio.gather(*(conversation(engine, run * at_once + n) for n in range(at_once)))
        results.extend(result for one in together for result in one)
    firsts = sorted(first for first, _ in results)
    rates = [rate for _, rate in results if rate]
    print(
        f"{engine.model:<28} {at_once:>2} at once   first token p50 {statistics.median(firsts):6.1f} ms, "
        f"p95 {firsts[int(0.95 * (len(firsts) - 1))]:6.1f} ms   {statistics.median(rates):7.1f} tokens/s each",
        flush=True,
    )


def chosen(arguments: argparse.Namespace) -> tuple[EnginePlugin, Any, dict[str, Path]]:
    """The plugin, its settings and its folders."""
    if arguments.scripted:
        return scripted.LLM_PLUGIN, scripted.ScriptedLlmSettings(), {}
    if arguments.base_url:
        settings = {"base_url": arguments.base_url, "model": arguments.name}
        return openai_llm.PLUGIN, openai_llm.OpenAISettings.model_validate(settings), {}
    llama = llama_llm.LlamaSettings(threads=arguments.threads)
    return llama_llm.PLUGIN, llama, {llama.model: arguments.model}


async def main(arguments: argparse.Namespace) -> None:
    plugin, settings, folders = chosen(arguments)
    began = time.perf_counter()
    engine = await plugin.create(EngineContext("chat", folders, Quiet(), arguments.cores), settings)
    print(f"loaded in {time.perf_counter() - began:.2f} s")
    try:
        await conversation(engine, -1)
        for at_once in arguments.at_once:
            await measure(engine, arguments.runs, at_once)
    finally:
        await engine.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="folder of smollm2-135m-instruct-q4_1")
    source.add_argument("--base-url", help="an OpenAI-compatible upstream")
    source.add_argument("--scripted", action="store_true", help="no model at all")
    parser.add_argument("--name", default="", help="the upstream's name of the model")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="of the demo model; 0: as it chooses")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--at-once", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    asyncio.run(main(parser.parse_args()))
