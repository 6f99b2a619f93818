"""What work costs: samples and tokens in, whole micro-credits out. Pure.

Every tariff answers two questions about a total quantity `q` of delivered work (samples, or tokens):

    charge(q)   what q costs
    held(q)     what must be set aside before q is delivered

and keeps two promises: both grow with q, and charge(q) <= held(q), so that what was held always covers what was done.
Charges are computed from totals, never added up from pieces, so rounding cannot accumulate. A fraction of a
micro-credit is dropped, in the customer's favour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from voxgate.domain import MICRO

HOLD_STEP_S = 10
"""Seconds of audio that work billed by the second sets aside at a time (contract, Credits)."""

Price = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]
"""Credits, to the micro-credit."""


class Tariff(Protocol):
    """How one surface is sold; `quantity` is a total since the work began, in the tariff's own unit."""

    @property
    def surface(self) -> str:
        """Where it is sold: `transcription`, `speech`, `chat`."""
        ...

    def charge(self, quantity: int) -> int:
        """Micro-credits that `quantity` costs."""
        ...

    def held(self, quantity: int) -> int:
        """Micro-credits to hold before `quantity` is delivered; 0 only where the work is free or has no quantity."""
        ...

    def units(self, quantity: int) -> Mapping[str, int]:
        """What the usage record says was delivered."""
        ...


@dataclass(frozen=True, slots=True)
class PerSecond:
    """Audio billed by the second, each begun second whole, set aside ten seconds at a time."""

    surface: str
    price: int
    """Micro-credits a minute."""
    rate: int
    """Samples per second of the quantities."""

    def charge(self, quantity: int) -> int:
        return self.price * _ceil(quantity, self.rate) // 60

    def held(self, quantity: int) -> int:
        steps = max(1, _ceil(quantity, HOLD_STEP_S * self.rate))
        return self.price * HOLD_STEP_S * steps // 60

    def units(self, quantity: int) -> Mapping[str, int]:
        return {"audio_ms": _ceil(quantity * 1000, self.rate)}


@dataclass(frozen=True, slots=True)
class PerMinute:
    """Audio billed by the minute, each begun minute whole, set aside as it begins."""

    surface: str
    price: int
    """Micro-credits a minute."""
    rate: int
    """Samples per second of the quantities."""

    def charge(self, quantity: int) -> int:
        return self.price * _ceil(quantity, 60 * self.rate)

    def held(self, quantity: int) -> int:
        return self.price * max(1, _ceil(quantity, 60 * self.rate))

    def units(self, quantity: int) -> Mapping[str, int]:
        return {"audio_ms": _ceil(quantity * 1000, self.rate)}


@dataclass(frozen=True, slots=True)
class PerToken:
    """Text billed by the token, set aside for as many as there may be."""

    surface: str
    price: int
    """Micro-credits for 1,000 tokens."""

    def charge(self, quantity: int) -> int:
        return self.price * quantity // 1000

    def held(self, quantity: int) -> int:
        return self.charge(quantity)

    def units(self, quantity: int) -> Mapping[str, int]:
        return {"tokens": quantity}


@dataclass(frozen=True, slots=True)
class Prepaid:
    """A tariff of work whose earlier attempt was charged already: only what goes beyond that costs anything."""

    tariff: Tariff
    paid: int
    """Micro-credits."""

    @property
    def surface(self) -> str:
        """As the tariff behind it."""
        return self.tariff.surface

    def charge(self, quantity: int) -> int:
        return max(0, self.tariff.charge(quantity) - self.paid)

    def held(self, quantity: int) -> int:
        return max(0, self.tariff.held(quantity) - self.paid)

    def units(self, quantity: int) -> Mapping[str, int]:
        return self.tariff.units(quantity)


@dataclass(frozen=True, slots=True)
class Paid:
    """A tariff of work that was sold before and is made once more: free, whatever it comes to this time."""

    tariff: Tariff

    @property
    def surface(self) -> str:
        """As the tariff behind it."""
        return self.tariff.surface

    def charge(self, quantity: int) -> int:
        return 0

    def held(self, quantity: int) -> int:
        return 0

    def units(self, quantity: int) -> Mapping[str, int]:
        return self.tariff.units(quantity)


class PriceSettings(BaseModel):
    """`[prices]`: what is sold for how much, in credits; 0 gives it away."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    transcription_credits_per_minute: Price = Decimal(1)
    """Audio heard, billed by the second."""
    speech_credits_per_minute: Price = Decimal(1)
    """Generated audio that was sent, billed by the begun minute of each request."""
    chat_credits_per_1000_tokens: Price = Decimal(0)
    """Prompt and completion together."""
    agent_credits_per_minute: Price = Decimal(0)
    """Conversations with the voice agent, billed by the begun minute of each."""

    room_credits_per_minute: Price = Decimal(1)
    """Sessions of voicebots in rooms, billed by the begun minute that a person is inside; the first as one is made."""

    def transcription(self, rate: int) -> Tariff:
        """The tariff of audio that is heard, in samples at `rate` a second."""
        return PerSecond("transcription", to_micro(self.transcription_credits_per_minute), rate)

    def speech(self, rate: int) -> Tariff:
        """The tariff of audio that is sent, in samples at `rate` a second."""
        return PerMinute("speech", to_micro(self.speech_credits_per_minute), rate)

    def chat(self) -> Tariff:
        """The tariff of an answer, in tokens. Hold the prompt (at most a token a byte) and `max_tokens`."""
        return PerToken("chat", to_micro(self.chat_credits_per_1000_tokens))

    def agent(self) -> Tariff:
        """The tariff of a conversation, in milliseconds, silence included."""
        return PerMinute("agent", to_micro(self.agent_credits_per_minute), 1000)

    def room(self) -> Tariff:
        """The tariff of a session in a room, in milliseconds that its person is inside."""
        return PerMinute("rooms", to_micro(self.room_credits_per_minute), 1000)


def reach(tariff: Tariff, budget: int, most: int) -> int:
    """The largest quantity, at most `most`, that `budget` micro-credits can be held for; 0 where they buy nothing."""
    if tariff.held(most) <= budget:
        return most
    bought, beyond = 0, most  # held() grows with the quantity: what lies between is halved until nothing does
    while beyond - bought > 1:
        middle = (bought + beyond) // 2
        if tariff.held(middle) <= budget:
            bought = middle
        else:
            beyond = middle
    return bought


def to_micro(credits: Decimal) -> int:  # noqa: A002 - the noun of this whole room
    """Whole micro-credits of an amount in credits. Raises ValueError for a fraction of a micro-credit, or no number."""
    if not credits.is_finite():
        raise ValueError("an amount of credits is a number")
    numerator, denominator = credits.as_integer_ratio()
    micro, rest = divmod(numerator * MICRO, denominator)
    if rest:
        raise ValueError("an amount of credits has at most six decimals")
    return micro


def to_credits(micro: int) -> str:
    """Decimal credits of an amount in micro-credits (>= 0), exactly: 83333 is `0.083333`, 1000000 is `1`."""
    whole, rest = divmod(micro, MICRO)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") if rest else str(whole)


def _ceil(quantity: int, size: int) -> int:
    return -(-quantity // size)
