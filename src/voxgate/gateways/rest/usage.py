"""`GET /v1/usage`: what was delivered and what it cost, page by page."""

from typing import Any

import orjson
from fastapi import APIRouter, Request

from voxgate.gateways.rest.answers import Json
from voxgate.gateways.rest.context import Rest, principal_of
from voxgate.services.usage import LARGEST_PAGE, PAGE, parse_query, shown

_PARAMETERS = [
    {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": kind}}
    for name, kind, text in (
        ("request_id", "string", "Only the rows of this request"),
        ("from", "string", "The first moment that counts, ISO 8601; UTC where no offset is named"),
        ("to", "string", "The first moment that counts no more"),
        ("after", "string", "The id of the last row of the page before"),
        ("limit", "integer", f"Rows of a page, at most {LARGEST_PAGE}; {PAGE} where absent"),
    )
]
"""For `/docs`. They are read by services/usage.py, whose refusals name the field as every other does."""


def router(rest: Rest) -> APIRouter:
    """The route over one server's services."""
    routes = APIRouter(prefix="/v1", tags=["account"])

    @routes.get("/usage", openapi_extra={"parameters": _PARAMETERS})
    async def usage(request: Request) -> Json:
        """The organization's usage, newest first."""
        query, limit, after = parse_query(dict(request.query_params), org_id=principal_of(request).org_id)
        rows, more = await rest.usage.page(query, limit, after)
        return Json({"data": [_exact(shown(row)) for row in rows], "has_more": more})

    return routes


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    """Credits as a decimal number, written digit by digit: a float could not hold every micro-credit."""
    return row | {"credits": orjson.Fragment(row["credits"])}
