"""Downloads: resumed, bounded, given up in time."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.models.conftest import Server
from voxgate.models.download import download, open_client, read_text
from voxgate.models.fetching import Patience, SourceError

BODY = bytes(range(256)) * 40
PATIENCE = Patience(slow_window_s=0.2)
HASTY = Patience(silent_s=0.3)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client(PATIENCE) as opened:
        yield opened


@pytest.fixture
def hasty() -> Iterator[httpx.Client]:
    """A client that waits 0.3 s, for hosts that hang."""
    with open_client(HASTY) as opened:
        yield opened


def _download(client: httpx.Client, server: Server, target: Path, expected: int = len(BODY)) -> bool:
    return download(
        client, f"{server.url}/weights", target, expected=expected, patience=PATIENCE, grown=lambda size: None
    )


def test_a_whole_file_comes_with_its_progress(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    server.pages["/weights"] = BODY
    seen: list[int] = []
    url = f"{server.url}/weights"
    resumed = download(client, url, tmp_path / "w", expected=len(BODY), patience=PATIENCE, grown=seen.append)
    assert not resumed
    assert (tmp_path / "w").read_bytes() == BODY
    assert seen == sorted(seen)
    assert seen[-1] == len(BODY)


def test_what_is_there_is_not_fetched_again(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    server.pages["/weights"] = BODY
    (tmp_path / "w").write_bytes(BODY[:1000])
    assert _download(client, server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == BODY
    assert server.asked == [("/weights", "bytes=1000-")]


def test_a_connection_that_breaks_off_is_taken_up_again(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    server.pages["/weights"] = BODY
    server.break_after = 3000
    assert _download(client, server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == BODY
    assert [asked for _, asked in server.asked] == ["", "bytes=3000-"]


def test_a_server_without_ranges_starts_again(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    server.pages["/weights"] = BODY
    server.ranges = False
    (tmp_path / "w").write_bytes(b"x" * 1000)
    _download(client, server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == BODY


def test_a_piece_that_is_too_long_is_thrown_away(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    server.pages["/weights"] = BODY
    (tmp_path / "w").write_bytes(BODY + b"more")
    assert not _download(client, server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == BODY


def test_a_range_beyond_the_end_is_told_and_the_piece_goes(
    client: httpx.Client, server: Server, tmp_path: Path
) -> None:
    server.pages["/weights"] = BODY[:500]
    (tmp_path / "w").write_bytes(b"x" * 600)
    with pytest.raises(SourceError, match="shorter than"):
        _download(client, server, tmp_path / "w")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("size", [len(BODY) - 1, len(BODY) + 1])
def test_another_size_is_refused_before_it_is_fetched(
    client: httpx.Client, server: Server, tmp_path: Path, size: int
) -> None:
    server.pages["/weights"] = bytes(size)
    with pytest.raises(SourceError, match=f"has {size} bytes, {len(BODY)} expected") as caught:
        _download(client, server, tmp_path / "w")
    assert not caught.value.down
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(("status", "down"), [(404, False), (403, False), (429, True), (500, True), (503, True)])
def test_refusals_blame_the_file_and_failures_the_host(
    client: httpx.Client, server: Server, tmp_path: Path, status: int, down: bool
) -> None:
    server.status = status
    with pytest.raises(SourceError, match=str(status)) as caught:
        _download(client, server, tmp_path / "w")
    assert caught.value.down is down


def test_a_server_that_hangs_is_given_up(hasty: httpx.Client, server: Server, tmp_path: Path) -> None:
    server.pages["/weights"] = BODY
    server.hold_after = 0
    with pytest.raises(SourceError, match=r"no answer within 0\.3 s") as caught:
        download(
            hasty, f"{server.url}/weights", tmp_path / "w", expected=len(BODY), patience=HASTY, grown=lambda size: None
        )
    assert caught.value.down


def test_a_server_that_hangs_in_the_middle_leaves_a_piece_to_go_on_with(
    hasty: httpx.Client, server: Server, tmp_path: Path
) -> None:
    server.pages["/weights"] = BODY
    server.hold_after = 2000
    server.ranges = False
    with pytest.raises(SourceError):
        download(
            hasty, f"{server.url}/weights", tmp_path / "w", expected=len(BODY), patience=HASTY, grown=lambda size: None
        )
    assert (tmp_path / "w").read_bytes() == BODY[:2000]


def test_a_dead_port_is_told_at_once(client: httpx.Client, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not reachable") as caught:
        download(client, "http://127.0.0.1:1/w", tmp_path / "w", expected=1, patience=PATIENCE, grown=lambda size: None)
    assert caught.value.down


def test_an_address_that_is_none_is_told(client: httpx.Client, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be asked"):
        download(client, "http://host:port/w", tmp_path / "w", expected=1, patience=PATIENCE, grown=lambda size: None)


def test_a_trickle_is_given_up_although_it_never_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("voxgate.models.download.time.monotonic", lambda: now[0])

    def trickle() -> Iterator[bytes]:
        while True:
            now[0] += 0.1
            yield b"x"

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=trickle()))
    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(SourceError, match="sent 2 bytes in 0 s") as caught,
    ):
        download(client, "http://slow/w", tmp_path / "w", expected=999, patience=PATIENCE, grown=lambda size: None)
    assert caught.value.down


def test_an_answer_without_a_length_ends_at_what_is_expected(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=endless()))
    with httpx.Client(transport=transport) as client, pytest.raises(SourceError, match="sends more than the 250"):
        download(client, "http://x/w", tmp_path / "w", expected=250, patience=PATIENCE, grown=lambda size: None)
    assert (tmp_path / "w").stat().st_size <= 250


def test_a_full_disk_is_not_the_servers_fault(client: httpx.Client, server: Server) -> None:
    server.pages["/weights"] = BODY
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        _download(client, server, full)


def test_a_text_is_read_or_left_out(client: httpx.Client, server: Server) -> None:
    server.pages["/LICENSE"] = b"MIT"
    assert read_text(client, f"{server.url}/LICENSE", limit=10) == b"MIT"
    assert read_text(client, f"{server.url}/LICENSE", limit=2) is None
    assert read_text(client, f"{server.url}/NOTICE", limit=10) is None
    assert read_text(client, "http://127.0.0.1:1/LICENSE", limit=10) is None
