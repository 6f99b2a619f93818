"""The models on disk: pull, verify, list, remove, and where an engine finds its own.

One folder a model below the root, complete or not there at all: a pull works in `.work` beside it and renames the
finished folder into place. A file lock a model keeps two pulls from each other; the second one finds the work done.

    ROOT/moonshine-base-en/{enc.onnx, dec.onnx, tokenizer.bin, LICENSE, manifest.json}
    ROOT/.work/moonshine-base-en.lock
    ROOT/.work/moonshine-base-en/                  while a pull runs, or holding a download to go on with
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from voxgate.config import Settings
from voxgate.errors import Code, ModelError
from voxgate.models import catalog as catalogue
from voxgate.models import conversion
from voxgate.models.catalog import MANIFEST_NAME, Catalog, File, Model
from voxgate.models.fetching import Patience, Progress, Stage, Step, silent
from voxgate.models.manifest import Entry, Manifest
from voxgate.models.sources import DEFAULT_HUB, Sources, Workplace


class ModelSettings(Settings):
    """`[models]` in the configuration."""

    dir: str = ""
    """Folder of the models; empty: VOXGATE_MODELS_DIR, else the user's data folder."""
    mirror: str = ""
    """Folder or http(s) address that holds MODEL/FILE and is asked before every other source."""
    hub: str = DEFAULT_HUB
    """Base address of the model hub."""


def models_root(environ: Mapping[str, str], configured: str = "") -> Path:
    """The root: VOXGATE_MODELS_DIR, else `models.dir`, else voxgate/models in $XDG_DATA_HOME or in ~/.local/share."""
    named = environ.get("VOXGATE_MODELS_DIR") or configured
    if named:
        return Path(named).expanduser().absolute()
    data_home = environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification: a path that is not absolute is to be ignored.
    base = Path(data_home) if data_home.startswith("/") else Path("~/.local/share").expanduser()
    return base / "voxgate" / "models"


class Health(StrEnum):
    """How a model is."""

    READY = "ready"
    MISSING = "missing"
    OUTDATED = "outdated"
    """Installed by a Voxgate whose catalogue, format or converter was another."""
    BROKEN = "broken"
    """A file is gone or not what it was."""


@dataclass(frozen=True, slots=True)
class Status:
    """One model and how it is here."""

    model: Model
    health: Health
    folder: Path
    detail: str = ""
    """What is wrong, in one line."""
    bytes: int = 0
    """Space its files take; 0 where they are missing."""
    origin: str = ""
    """Which source gave them."""
    licences: tuple[Path, ...] = ()
    """The licence texts that came with them."""
    warnings: tuple[str, ...] = ()


class ModelStore:
    """The models below one root folder."""

    def __init__(
        self,
        root: Path,
        *,
        catalog: Catalog | None = None,
        mirror: str = "",
        hub: str = DEFAULT_HUB,
        patience: Patience | None = None,
    ) -> None:
        """Nothing is read or made here. `mirror`, `hub`: see ModelSettings."""
        self.root = root
        self.catalog = catalog or catalogue.load()
        self._mirror = mirror
        self._hub = hub
        self._patience = patience

    def path(self, name: str) -> Path:
        """The folder of an installed model, checked by size and time of change (hashed where a time has changed).

        Raises ModelError `model_missing` (also for one that has to be pulled again) or `model_broken`; each says
        which command mends it.
        """
        status = self.status(name)
        if status.health is Health.READY:
            return status.folder
        code = Code.MODEL_BROKEN if status.health is Health.BROKEN else Code.MODEL_MISSING
        raise ModelError(f"model {name} is {status.detail}; run `voxgate models pull {name}`", code=code)

    def status(self, name: str, *, thorough: bool = False) -> Status:
        """How one model is. `thorough`: hash every file. Raises ModelError for a name the catalogue does not have."""
        model = self.catalog.model(name)
        folder = self.root / name
        if not folder.is_dir():
            return Status(model, Health.MISSING, folder, f"not installed in {self.root}")
        manifest = Manifest.read(folder)
        if manifest is None:
            return Status(model, Health.BROKEN, folder, f"broken: {MANIFEST_NAME} is missing or damaged")
        if not manifest.fits(model):
            return Status(model, Health.OUTDATED, folder, "from another version of Voxgate's catalogue")
        if damage := manifest.damage(folder, thorough=thorough):
            return Status(model, Health.BROKEN, folder, f"broken: {damage}")
        self._remember_times(manifest, folder)
        return Status(
            model,
            Health.READY,
            folder,
            bytes=sum(entry.bytes for entry in manifest.files),
            origin=manifest.origin,
            licences=tuple(folder / licence for licence in manifest.licences),
            warnings=manifest.warnings,
        )

    def overview(self) -> list[Status]:
        """Every model of the catalogue, in its order."""
        return [self.status(name) for name in self.catalog.models]

    def verify(self, names: Iterable[str] = ()) -> list[Status]:
        """Hash every file of these models or bundles; of every installed one where none is named."""
        wanted = self.catalog.expand(names) or tuple(
            model for model in self.catalog.models.values() if (self.root / model.name).is_dir()
        )
        return [self.status(model.name, thorough=True) for model in wanted]

    def pull(self, names: Iterable[str], progress: Progress = silent, *, force: bool = False) -> list[Status]:
        """Install models and bundles; those that are ready are left alone, unless `force`.

        Works model by model: one that fails does not keep the others from being installed, and leaves nothing behind
        but the part of a download that the next pull goes on with. Raises ModelError at the end, one line a failure;
        at once where the disk is full or the root cannot be written.
        """
        models = self.catalog.expand(names)
        failures: list[ModelError] = []
        ready: list[Status] = []
        with _disk_errors(self.root), self._sources() as sources:
            for model in models:
                before = self.status(model.name)
                if before.health is Health.READY and not force:
                    ready.append(before)
                    continue
                try:
                    with self._locked(model, progress):
                        ready.append(self._pull(model, sources, progress, force=force))
                except ModelError as error:
                    if error.code is Code.DISK_FULL:
                        raise
                    failures.append(error)
        if failures:
            raise ModelError("\n".join(error.message for error in failures), code=failures[0].code)
        return ready

    def remove(self, names: Iterable[str]) -> int:
        """Delete models and what is left of their downloads; answers the bytes freed. Raises ModelError."""
        freed = 0
        with _disk_errors(self.root):
            for model in self.catalog.expand(names):
                folder, work = self.root / model.name, Workplace(self._work / model.name)
                if not folder.exists() and not work.folder.exists():
                    continue
                with self._locked(model, silent):
                    freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                    work.open()
                    if folder.exists():
                        folder.rename(work.folder / "old")
                    shutil.rmtree(work.folder)
        return freed

    def export(self, names: Iterable[str], folder: Path, progress: Progress = silent) -> list[Path]:
        """Fetch models as they are published into `folder`, laid out as a mirror: MODEL/FILE and the licence texts.

        For machines without a way out: carry the folder there and name it as `models.mirror`. Answers the folders.
        Raises ModelError.
        """
        made: list[Path] = []
        with _disk_errors(folder), self._sources() as sources:
            for model in self.catalog.expand(names):
                work = Workplace(folder / ".work" / model.name)
                work.open()
                try:
                    target = folder / model.name
                    _reuse(model, target, work)
                    sources.collect(model, work, progress)
                    _move_all(work.licences, work.files)
                    _swap(work.files, target, work)
                    made.append(target)
                finally:
                    work.tidy()
            if (folder / ".work").is_dir() and not any((folder / ".work").iterdir()):
                (folder / ".work").rmdir()
        return made

    @property
    def _work(self) -> Path:
        return self.root / ".work"

    def _sources(self) -> Sources:
        return Sources(mirror=self._mirror, hub=self._hub, patience=self._patience)

    def _pull(self, model: Model, sources: Sources, progress: Progress, *, force: bool) -> Status:
        # Whoever held the lock before us may have done the work.
        before = self.status(model.name)
        if before.health is Health.READY and not force:
            return before
        work = Workplace(self._work / model.name)
        work.open()
        try:
            self._require_space(model)
            folder = self.root / model.name
            if not force:
                _reuse(model, folder, work)
            known = Manifest.read(folder)
            origin = sources.collect(model, work, progress) or (
                known.origin if known else "files that were here already"
            )
            warnings: tuple[str, ...] = ()
            if model.convert:
                progress(Step(model.name, Stage.CONVERTING))
                warnings = conversion.convert(model, model.convert, work.files, work.new)
            else:
                _move_all(work.files, work.new)
            licences = sorted(path.name for path in work.licences.iterdir())
            _move_all(work.licences, work.new)
            Manifest.of(model, work.new, licences=licences, origin=origin, warnings=warnings).write(work.new)
            _swap(work.new, folder, work)
        finally:
            work.tidy()
        return self.status(model.name)

    def _require_space(self, model: Model) -> None:
        free = shutil.disk_usage(self.root).free
        needed = model.pull_bytes
        if free < needed:
            raise ModelError(
                f"the disk is full: pulling {model.name} needs {needed / 1e6:.0f} MB, "
                f"{self.root} has {free / 1e6:.0f} MB left",
                code=Code.DISK_FULL,
            )

    @contextmanager
    def _locked(self, model: Model, progress: Progress) -> Iterator[None]:
        self._work.mkdir(parents=True, exist_ok=True)
        # The lock file stays: deleting it would let a third process lock a new one while we hold the old.
        with (self._work / f"{model.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(Step(model.name, Stage.WAITING))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remember_times(self, manifest: Manifest, folder: Path) -> None:
        """After a copy: write the new times down, so that the next start need not hash again."""
        refreshed = manifest.refreshed(folder)
        if refreshed != manifest and os.access(folder, os.W_OK):
            refreshed.write(folder)


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    """What the operating system says about our folder, as one line for people."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"the disk is full: no room left below {root}", code=Code.DISK_FULL) from error
        raise ModelError(
            f"the models folder {root} cannot be used: {error.strerror or error}", code=Code.MODEL_BROKEN
        ) from error


def _reuse(model: Model, folder: Path, work: Workplace) -> None:
    """Take over what is in `folder` already and has the right digest: a repair fetches only what is broken."""
    for file in model.files:
        if _is(file, folder / file.name):
            shutil.copyfile(folder / file.name, work.files / file.name)
    for name in model.licence_names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, work.licences / name)


def _is(file: File, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and Entry.of(path).sha256 == file.sha256


def _move_all(source: Path, target: Path) -> None:
    for path in source.iterdir():
        path.rename(target / path.name)


def _swap(new: Path, folder: Path, work: Workplace) -> None:
    """Put a finished folder in the place of whatever was there; everything is on the disk before its name is."""
    for path in new.iterdir():
        _sync(path)
    _sync(new)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rename(work.folder / "old")
    new.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
