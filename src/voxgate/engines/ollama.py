"""Finding an Ollama server, which people who run models on their own machine often have. It speaks OpenAI's dialect."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ollama:
    """An Ollama server that was found."""

    base_url: str
    """For OpenAISettings.base_url."""
    model: str
    """The model to use: of those that chat, the one that was pulled last."""
    models: tuple[str, ...]
    """Every model it has that chats and runs on its own machine, newest first."""


async def find_ollama(base_url: str = "http://127.0.0.1:11434", *, budget_s: float = 0.3) -> Ollama | None:
    """The Ollama server at an address, its usual one by default; None if none with a model answers in time."""
    import httpx

    try:
        async with asyncio.timeout(budget_s), httpx.AsyncClient(trust_env=False, timeout=budget_s) as client:
            response = await client.get(f"{base_url.rstrip('/')}/api/tags")
            listed = response.raise_for_status().json()["models"]
            models = tuple(entry["name"] for entry in listed if _chats(entry))
    except (TimeoutError, httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None  # nothing there, or something else listens on that port
    return Ollama(f"{base_url.rstrip('/')}/v1", models[0], models) if models else None


def _chats(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of /api/tags can hold a conversation here: embedders cannot, `remote_host` is Ollama's cloud."""
    families = (entry.get("details") or {}).get("families") or ()
    embeds = "embed" in entry["name"] or any("bert" in family for family in families)
    return not embeds and not entry.get("remote_host")
