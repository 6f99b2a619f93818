"""Models, credits, health and metrics."""

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from voxgate.errors import VoxgateError
from voxgate.gateways.rest.answers import Json
from voxgate.gateways.rest.context import Rest, principal_of
from voxgate.observe import CONTENT_TYPE
from voxgate.services.billing import to_credits


def router(rest: Rest) -> APIRouter:
    """The routes that tell about the server and the caller."""
    routes = APIRouter()

    @routes.get("/v1/models", tags=["models"], summary="Every model name")
    async def models() -> Json:
        """Every model name, what it is for and whether it can be used now."""
        return Json({"object": "list", "data": rest.switchboard().models()})

    @routes.get("/v1/models/{name}", tags=["models"], summary="One model name")
    async def model(name: str) -> Json:
        """One model."""
        return Json(rest.switchboard().model(name))

    @routes.get("/v1/credits", tags=["account"], summary="What is left")
    async def credits_left(request: Request) -> Json:
        """What the organization of this key has left."""
        principal = principal_of(request)
        balance = await rest.ledger.balance(principal.org_id)
        return Json(
            {
                # decimal numbers, written digit by digit: a float could not hold every micro-credit
                "balance": orjson.Fragment(to_credits(balance.available)),
                "held": orjson.Fragment(to_credits(balance.held)),
                "org": principal.org_name,
                "tier": principal.tier.value,
            }
        )

    return routes


def operations(rest: Rest) -> APIRouter:
    """The routes for whoever runs the server; they need no key."""
    routes = APIRouter()

    @routes.get("/healthz", tags=["operations"], summary="Alive?")
    async def healthz() -> Json:
        """Alive."""
        return Json({"status": "ok"})

    @routes.get("/readyz", tags=["operations"], summary="Ready for work?")
    async def readyz() -> Json:
        """200 once the store answers and everything that is configured and present is loaded."""
        readiness = rest.readiness()
        try:
            await rest.store_answers()
            store = "ok"
        except VoxgateError as error:
            store = error.message
        ready = readiness.ready and store == "ok"
        body = {
            "status": "ready" if ready else "not ready",
            "store": store,
            "loading": readiness.loading,
            "missing": readiness.missing,
            "problems": readiness.problems,
        }
        return Json(body, status_code=200 if ready else 503, headers={} if ready else {"Retry-After": "1"})

    @routes.get("/metrics", tags=["operations"], summary="Measurements")
    async def metrics() -> Response:
        """Measurements in Prometheus' text format."""
        return Response(rest.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return routes
