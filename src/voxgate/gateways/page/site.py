"""The routes of the page. Its files lie beside, in `static/`, and are held in memory.

Nothing comes from anywhere else: socket.io-client 4.8.4 (MIT, its licence beside it) is `dist/socket.io.esm.min.js` of
its npm package, byte for byte.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import Response

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only the page's own files run. Sockets are named by scheme: Safari before 15.4 does not count them to `'self'`."""

_HEADERS = {
    "Cache-Control": "no-cache",  # asked for each time, and answered 304: an upgraded server has no old page
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def router() -> APIRouter:
    """`/` and the files it asks for; without a key, as there is nothing in them."""
    routes = APIRouter(include_in_schema=False)
    for path, file in _found(files(__package__) / "static", "/").items():
        _serve(routes, "/" if path == "/index.html" else path, file)
    return routes


def _found(folder: Traversable, under: str) -> Mapping[str, Traversable]:
    found: dict[str, Traversable] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _found(entry, f"{under}{entry.name}/")
        else:
            found[under + entry.name] = entry
    return found


def _serve(routes: APIRouter, path: str, file: Traversable) -> None:
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = _HEADERS | {"ETag": tag, "Content-Type": _TYPES[file.name[file.name.rindex(".") :]]}

    @routes.api_route(path, methods=["GET", "HEAD"])
    async def static(request: Request) -> Response:
        """The file, or that it has not changed."""
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)
