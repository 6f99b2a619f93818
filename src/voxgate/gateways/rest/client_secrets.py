"""`POST /v1/realtime/client_secrets`: short-lived credentials for browsers."""

from fastapi import APIRouter, Request

from voxgate.gateways.rest.answers import Json
from voxgate.gateways.rest.context import Rest, principal_of
from voxgate.protocols.minted import check_minted
from voxgate.protocols.rest.client_secrets import ClientSecretRequest, minted


def router(rest: Rest) -> APIRouter:
    """The route over one server's services."""
    routes = APIRouter(prefix="/v1/realtime", tags=["account"])

    @routes.post("/client_secrets", summary="A credential for a browser")
    async def client_secrets(request: Request, wanted: ClientSecretRequest | None = None) -> Json:
        """A client secret, which stands for this key until it expires."""
        wanted = wanted or ClientSecretRequest()
        check_minted(wanted.session or {})
        secret = await rest.client_secrets.mint(
            principal_of(request),
            seconds=wanted.seconds(rest.limits.client_secret_s),
            scopes=wanted.wanted_scopes(),
            session=wanted.session or {},
        )
        answer = minted(secret.value, secret.id, secret.expires_at, secret.scopes, secret.session)
        return Json(answer, headers={"Cache-Control": "no-store"})

    return routes
