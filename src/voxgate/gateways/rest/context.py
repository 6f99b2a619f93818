"""What the REST routes are handed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from voxgate.domain import Principal
from voxgate.gateways.admission import Admission
from voxgate.gateways.limits import LimitSettings
from voxgate.observe import Prometheus
from voxgate.ports import AudioDecoder, Ledger, Vad
from voxgate.services.billing import PriceSettings, Tariff
from voxgate.services.client_secrets import ClientSecrets
from voxgate.services.idempotency import Attempt, Idempotency
from voxgate.services.images import Images
from voxgate.services.metering import Meter
from voxgate.services.rooms import Rooms
from voxgate.services.switchboard import Switchboard
from voxgate.services.usage import UsageReports
from voxgate.services.voicebots import Voicebots


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can do its work."""

    ready: bool
    loading: tuple[str, ...]
    """Engines that are still being loaded."""
    missing: tuple[str, ...]
    """Catalogue names of models that are configured and not on disk."""
    problems: tuple[str, ...]
    """Engines that do not run, with the reason and the command that helps."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Everything a route may need. The engines come and go; they are asked for when they are needed."""

    admission: Admission
    client_secrets: ClientSecrets
    ledger: Ledger
    usage: UsageReports
    idempotency: Idempotency
    voicebots: Voicebots
    images: Images
    rooms: Rooms
    prices: PriceSettings
    limits: LimitSettings
    public_url: str
    """Address clients reach the server by; empty: the one they asked."""
    metrics: Prometheus
    cores: int
    switchboard: Callable[[], Switchboard]
    vad: Callable[[], Vad]
    """Raises EngineError where there is none."""
    decoder: Callable[[], AudioDecoder]
    """Raises EngineError where there is none."""
    store_answers: Callable[[], Awaitable[None]]
    """Returns once the database answers. Raises StoreError."""
    readiness: Callable[[], Readiness]


def meter_of(rest: Rest, request: Request, tariff: Tariff, *, first: int = 0, whole: bool = False) -> Meter:
    """The meter of this request, which knows what earlier attempts under the same `Idempotency-Key` have paid.

    `first`, `whole`: as `Meter` says.
    """
    attempt: Attempt | None = getattr(request.state, "attempt", None)
    meter = Meter(
        rest.ledger,
        principal_of(request),
        attempt.tariff(tariff) if attempt else tariff,
        request_id=attempt.request_id if attempt else request_id_of(request),
        first=first,
        whole=whole,
    )
    request.state.meter = meter
    return meter


def principal_of(request: Request) -> Principal:
    """Who sent this request; the edge has found out."""
    principal: Principal = request.state.principal
    return principal


def request_id_of(request: Request) -> str:
    """The id in this request's `X-Request-Id`."""
    request_id: str = request.state.request_id
    return request_id


def base_url_of(rest: Rest, request: Request) -> str:
    """What addresses of this server in an answer begin with, without a slash at the end."""
    return rest.public_url or f"{request.url.scheme}://{request.url.netloc}"
