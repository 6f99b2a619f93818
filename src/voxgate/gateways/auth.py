"""Who is asking: credentials out of a request, looked up once, before a byte of the body is read."""

from starlette.datastructures import Headers

from voxgate.domain import Principal
from voxgate.errors import Code, RefusedError
from voxgate.ports import Keys


def credential(headers: Headers) -> str | None:
    """The API key of `Authorization: Bearer KEY` or `X-API-Key: KEY`; None where there is neither."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip() or None


async def authenticate(keys: Keys, headers: Headers) -> Principal:
    """The owner of the request's key. Raises RefusedError `invalid_api_key`, StoreError."""
    key = credential(headers)
    if key is None:
        raise RefusedError(
            "an API key is required: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'", code=Code.INVALID_API_KEY
        )
    principal = await keys.find(key)
    if principal is None:
        raise RefusedError("this API key is not valid: unknown, revoked or expired", code=Code.INVALID_API_KEY)
    return principal
