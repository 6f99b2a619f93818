"""How configuration is read: defaults, a TOML file, the environment and the command line become one frozen tree.

This file is machinery only. Each room exports its own settings class; app.py puts them together into the schema.
Settings are pydantic models; a secret is a `SecretStr`, and its key with `_file` behind it reads it from a file.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from voxgate.errors import ConfigError

PREFIX = "VOXGATE__"
"""`VOXGATE__SERVER__PORT` in the environment is `server.port`."""


class Settings(BaseModel):
    """The base of every settings class: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Schema = TypeVar("Schema", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Schema]):
    """A configuration, and where each value that is not a default came from."""

    settings: Schema
    origins: Mapping[str, str]
    """Dotted key -> `voxgate.toml`, `environment NAME` or `command line`; a key that is missing has its default."""


def load(
    schema: type[Schema],
    *,
    path: Path | None = None,
    environ: Mapping[str, str],
    names: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded[Schema]:
    """Read the configuration once. `overrides` are dotted keys from the command line; later sources win.

    `names`: variables of the environment with a name of their own -> the dotted key they set, where they are not
    empty. One that is spelled out (`VOXGATE__SERVER__PORT`) wins over them.

    Raises ConfigError naming the key: unknown (with the nearest known one), of the wrong type, out of range.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        _merge(tree, _read(path), origins, path.name)
    for name, key in (names or {}).items():
        if environ.get(name):
            _merge(tree, _nest(key.split("."), environ[name]), origins, f"environment {name}")
    for name in sorted(environ):
        if name.startswith(PREFIX):
            keys = name.removeprefix(PREFIX).lower().split("__")
            _merge(tree, _nest(keys, _parse(environ[name], name)), origins, f"environment {name}")
    for key, value in (overrides or {}).items():
        _merge(tree, _nest(key.split("."), value), origins, "command line")
    _check_keys(schema, tree, "", origins)
    _read_secret_files(schema, tree, "")
    try:
        settings = schema.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, origins) from None
    return Loaded(settings, origins)


def parse_section(schema: type[Schema], tree: Mapping[str, Any], *, at: str, origins: Mapping[str, str]) -> Schema:
    """One section whose schema is known only later, such as an engine's. Raises ConfigError like `load`."""
    section = dict(tree)
    _check_keys(schema, section, f"{at}.", origins)
    _read_secret_files(schema, section, f"{at}.")
    try:
        return schema.model_validate(section)
    except ValidationError as error:
        raise _explain(error, origins, f"{at}.") from None


def rows(settings: BaseModel, at: str, origins: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(dotted key, value as text, origin) of every setting below `at`; secrets are shown as `**********`."""
    yield from _rows(settings, at, origins)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"the configuration file {path} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _parse(value: str, name: str) -> Any:
    """A value from the environment: lists and tables as TOML writes them, anything else as it stands."""
    if not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not a TOML list or table: {error}") from None


def _nest(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    nested: dict[str, Any] = value
    return nested


def _merge(tree: dict[str, Any], more: Mapping[str, Any], origins: dict[str, str], origin: str, at: str = "") -> None:
    for key, value in more.items():
        if isinstance(value, Mapping):
            below = tree.setdefault(key, {})
            if not isinstance(below, dict):
                below = tree[key] = {}
            _merge(below, value, origins, origin, f"{at}{key}.")
        else:
            tree[key] = value
            origins[at + key] = origin


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _models_in(part)


def _check_keys(schema: type[BaseModel], tree: Mapping[str, Any], at: str, origins: Mapping[str, str]) -> None:
    if schema.model_config.get("extra") == "allow":
        return
    for key, value in tree.items():
        info = schema.model_fields.get(key)
        stem = schema.model_fields.get(key.removesuffix("_file"))
        if info is None and not (key.endswith("_file") and stem is not None and _is_secret(stem.annotation)):
            raise _unknown(schema, key, at, origins)
        if info is None or not isinstance(value, Mapping):
            continue
        for model in _models_in(info.annotation):
            _check_keys(model, value, f"{at}{key}.", origins)
        arguments = get_args(info.annotation)
        if get_origin(info.annotation) in (dict, Mapping) or (arguments and get_origin(info.annotation) is not None):
            for model in _models_in(arguments[-1]):
                for name, entry in value.items():
                    if isinstance(entry, Mapping):
                        _check_keys(model, entry, f"{at}{key}.{name}.", origins)


def _unknown(schema: type[BaseModel], key: str, at: str, origins: Mapping[str, str]) -> ConfigError:
    dotted = at + key
    where = next((origin for name, origin in origins.items() if name == dotted or name.startswith(dotted + ".")), "")
    near = difflib.get_close_matches(key, schema.model_fields, n=1, cutoff=0.5)
    known = f"did you mean {at + near[0]!r}?" if near else f"known here: {', '.join(sorted(schema.model_fields))}"
    return ConfigError(f"{where}: there is no setting {dotted!r}; {known}", param=dotted)


def _is_secret(annotation: Any) -> bool:
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return SecretStr in parts


def _read_secret_files(schema: type[BaseModel], tree: dict[str, Any], at: str) -> None:
    """Replace every `name_file` of a secret `name` by what the file holds."""
    for name, info in schema.model_fields.items():
        key = f"{name}_file"
        if _is_secret(info.annotation) and key in tree and key not in schema.model_fields:
            file = Path(str(tree.pop(key)))
            if name in tree:
                raise ConfigError(f"{at}{name} and {at}{key} are both set; keep one", param=at + key)
            try:
                tree[name] = file.read_text(encoding="utf-8").strip()
            except UnicodeDecodeError:
                raise ConfigError(f"{at}{key}: {file} is no text", param=at + key) from None
            except OSError as error:
                raise ConfigError(f"{at}{key}: {file} cannot be read: {error.strerror}", param=at + key) from None
        value = tree.get(name)
        if isinstance(value, dict):
            for model in _models_in(info.annotation):
                _read_secret_files(model, value, f"{at}{name}.")


def _explain(error: ValidationError, origins: Mapping[str, str], at: str = "") -> ConfigError:
    first = error.errors(include_url=False, include_input=False)[0]
    dotted = at + ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("tuple_type", "list_type"):
        message += ', such as ["one", "two"]'
    elif first["type"] in ("dict_type", "mapping_type", "model_type"):
        message = 'Must be a table, such as {key = "value"}'
    where = _origin(dotted, origins) or "configuration"
    return ConfigError(f"{where}: {dotted}: {message[:1].lower()}{message[1:]}", param=dotted)


def _origin(dotted: str, origins: Mapping[str, str]) -> str | None:
    """Where a key came from; a part of a list came from where the list did, a secret from where its file's name did."""
    while dotted:
        if found := origins.get(dotted) or origins.get(f"{dotted}_file"):
            return found
        dotted = dotted.rpartition(".")[0]
    return None


_PASSWORD = re.compile(r"(://[^/@\s]*:)[^/@\s]+@")  # of an address, as RFC 3986 §3.2.1 writes it


def _shown(value: Any) -> str:
    """A value for people: lists as TOML writes them, no password of an address."""
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return f"[{', '.join(_shown(part) for part in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _PASSWORD.sub(r"\1**********@", str(value))


def _rows(value: Any, at: str, origins: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, BaseModel):
        for name in [*type(value).model_fields, *(value.model_extra or {})]:
            yield from _rows(getattr(value, name), f"{at}.{name}" if at else name, origins)
    elif isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _rows(below, f"{at}.{name}", origins)
    else:
        yield at, _shown(value), _origin(at, origins) or "default"
