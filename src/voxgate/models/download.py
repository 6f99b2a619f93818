"""Files over HTTP: resumed where they were cut off, given up where nothing comes."""

import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from voxgate.models.fetching import Grown, Patience, SourceError

if TYPE_CHECKING:
    import httpx

MAX_RESUMES = 8
"""How often a connection that breaks off in the middle is taken up again, as long as each one brought something."""


def open_client(patience: Patience) -> "httpx.Client":
    """One client for all downloads of a pull. The proxies of the environment hold."""
    import httpx

    # Models are stored as they are: an answer that is compressed on the way would make sizes and ranges lie.
    return httpx.Client(
        timeout=httpx.Timeout(patience.silent_s), follow_redirects=True, headers={"Accept-Encoding": "identity"}
    )


def download(
    client: "httpx.Client", url: str, target: Path, *, expected: int, patience: Patience, grown: Grown
) -> bool:
    """Bring `target` to `expected` bytes from `url`, going on behind what `target` already holds.

    Answers True where an earlier piece was taken over, which the caller's digest has then to judge. What has come
    stays in `target` when this raises, for the next try. Raises SourceError; OSError where the disk refuses.
    """
    import httpx

    resumed = False
    for _ in range(MAX_RESUMES):
        have = target.stat().st_size if target.exists() else 0
        if have > expected:
            target.unlink()
            have = 0
        if have == expected:
            return True
        resumed = resumed or have > 0
        try:
            _stream(client, url, target, have=have, expected=expected, patience=patience, grown=grown)
            broken = "the answer ended early"
        except httpx.TransportError as error:
            broken = _say(error, patience)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise SourceError(f"cannot be asked ({error})") from error
        now = target.stat().st_size if target.exists() else 0
        if now == expected:
            return resumed
        if now <= have:
            raise SourceError(broken, down=True)
    raise SourceError(f"broke off {MAX_RESUMES} times", down=True)


def read_text(client: "httpx.Client", url: str, *, limit: int) -> bytes | None:
    """A small text, for instance a licence; None where it cannot be had, for nothing depends on it."""
    import httpx

    try:
        with client.stream("GET", url) as response:
            if response.status_code != HTTPStatus.OK:
                return None
            text = b""
            for chunk in response.iter_raw():
                text += chunk
                if len(text) > limit:
                    return None
            return text
    except httpx.HTTPError:
        return None


def _stream(
    client: "httpx.Client", url: str, target: Path, *, have: int, expected: int, patience: Patience, grown: Grown
) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as response:
        status = response.status_code
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            target.unlink()
            raise SourceError("its file is shorter than what was fetched before")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise SourceError(f"answered {status}", down=True)
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise SourceError(f"answered {status}")
        goes_on = status == HTTPStatus.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise SourceError("answered with a range that was not asked for")
        done = have if goes_on else 0
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and done + int(length) != expected:
            raise SourceError(f"has {done + int(length)} bytes, {expected} expected")
        window_start, window_done = time.monotonic(), done
        with target.open("ab" if goes_on else "wb") as out:
            for chunk in response.iter_raw():
                done += len(chunk)
                if done > expected:
                    raise SourceError(f"sends more than the {expected} bytes expected")
                out.write(chunk)
                grown(done)
                now = time.monotonic()
                if now - window_start >= patience.slow_window_s:
                    if done - window_done < patience.slow_bytes:
                        raise SourceError(f"sent {done - window_done} bytes in {now - window_start:.0f} s", down=True)
                    window_start, window_done = now, done


def _say(error: "httpx.TransportError", patience: Patience) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {patience.silent_s:g} s"
    return f"not reachable ({str(error) or type(error).__name__})"
