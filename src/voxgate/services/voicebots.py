"""Voicebots as their owners administer them: what one may hold, whose it is, and what is told when it is not."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import structlog
from pydantic import Field

from voxgate.clock import Clock
from voxgate.config import Settings
from voxgate.errors import Code, PeerError, RefusedError
from voxgate.rooms import Voicebot, VoicebotStore
from voxgate.services.casting import ANSWERS

_log = structlog.get_logger(__name__)

VOICE = "valsea-default"
"""The voice of a voicebot whose owner names none."""

LARGEST_PAGE, PAGE = 200, 50
"""How many voicebots one page of a list may hold, and how many it does."""

FIELDS = ("name", "avatar_url", "instructions", "language", "voice", "greeting", "model")
"""What an owner writes; all but the name may be left out."""

_ID = re.compile(r"[0-9a-fA-F]{24}")
_FURTHEST = 2**31 - 1
"""The largest offset: what every database counts to."""

CheckNames = Callable[[str, str | None, str], str | None]
"""(voice, language, model) -> the tag of the language; raises PeerError, RefusedError (voicebot_names.check_names)."""


class VoicebotSettings(Settings):
    """`[voicebots]`"""

    per_organization: int = Field(default=1_000, gt=0)
    """How many voicebots an organization may have."""
    name_characters: int = Field(default=100, gt=0)
    """Longest name. Instructions and greeting may be as long as `agent.instructions_characters` says."""
    avatar_url_characters: int = Field(default=2_000, gt=0)
    """Longest address of an avatar."""
    images: int = Field(default=50, gt=0)
    """How many images a voicebot may have."""
    image_bytes: int = Field(default=5 * 1024 * 1024, gt=0)
    """Largest image; no larger than `limits.upload_bytes`."""
    image_pixels: int = Field(default=4096 * 4096, gt=0)
    """Width × height of the largest image: 16.8 million take up to 70 MB of memory when they are looked at."""
    image_key_characters: int = Field(default=64, gt=0, le=80)
    """Longest key of an image; a model writes it into a mark, which is read no further than 80 characters."""
    image_description_characters: int = Field(default=500, gt=0)
    """Longest description of an image; the model is told those of all images at every turn."""


def check_id(voicebot_id: str, param: str) -> str:
    """The id in lower case. Raises PeerError naming `param` where it is not 24 hex digits."""
    if _ID.fullmatch(voicebot_id) is None:
        raise PeerError(f"{param!r} must be the id of a voicebot, 24 hex digits", param=param)
    return voicebot_id.lower()


class Voicebots:
    """The use cases behind `/v1/voicebots` and `voxgate voicebots`. Every method may raise StoreError."""

    def __init__(
        self,
        store: VoicebotStore,
        settings: VoicebotSettings,
        clock: Clock,
        *,
        text_characters: int,
        check_names: CheckNames,
    ) -> None:
        """`text_characters`: of the longest instructions, and of the longest greeting."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._text_characters = text_characters
        self._check_names = check_names

    async def create(self, org_id: str, fields: Mapping[str, str | None], *, by: str) -> Voicebot:
        """A new voicebot of an organization. `fields`: some of FIELDS, with a name; None is as if it were absent.

        `by`: who did it, for the log. Raises PeerError naming the field, RefusedError (licence of the voice, too many).
        """
        written = self._checked({"name": None} | dict(fields))
        now = self._clock.now()
        voicebot = self._with_names(
            Voicebot(
                id=secrets.token_hex(12),
                org_id=org_id,
                name=written["name"] or "",
                avatar_url=written.get("avatar_url"),
                instructions=written.get("instructions") or "",
                language=written.get("language"),
                voice=written.get("voice") or VOICE,
                greeting=written.get("greeting") or "",
                model=written.get("model") or ANSWERS,
                images=(),
                created_at=now,
                updated_at=now,
            )
        )
        if not await self._store.add(voicebot, most=self._settings.per_organization):
            raise RefusedError(
                f"this organization has {self._settings.per_organization:,} voicebots, as many as it may "
                "(voicebots.per_organization)"
            )
        _log.info("voicebot created", voicebot_id=voicebot.id, org_id=org_id, by=by)
        return voicebot

    async def get(self, org_id: str | None, voicebot_id: str, *, param: str = "id") -> Voicebot:
        """One of an organization's voicebots; None: of any, for whoever runs the server.

        Raises PeerError naming `param`: malformed, `not_found`; RefusedError `permission_denied` where it is another
        organization's.
        """
        voicebot = await self._store.find(check_id(voicebot_id, param))
        if voicebot is None:
            raise _unknown(param)
        if org_id is not None and voicebot.org_id != org_id:
            raise RefusedError("this voicebot belongs to another organization", param=param)
        return voicebot

    async def page(self, org_id: str | None, *, limit: int = PAGE, offset: int = 0) -> tuple[Sequence[Voicebot], int]:
        """Some of an organization's voicebots, or of all, oldest first, and how many there are. Raises PeerError."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise PeerError(f"'limit' must be between 1 and {LARGEST_PAGE}", param="limit")
        if not 0 <= offset <= _FURTHEST:
            raise PeerError(f"'offset' must be between 0 and {_FURTHEST:,}", param="offset")
        return await self._store.page(org_id, limit=limit, offset=offset)

    async def change(
        self, org_id: str | None, voicebot_id: str, fields: Mapping[str, str | None], *, by: str
    ) -> Voicebot:
        """Change what is named, to its default where it is None; calls under way keep what they began with.

        Raises: as `create` and `get`.
        """
        before = await self.get(org_id, voicebot_id)
        written = self._checked(fields)
        changes = {name: self._or_default(name, value) for name, value in written.items()}
        if changes.keys() & {"voice", "language", "model"}:
            checked = self._with_names(replace(before, **changes))  # type: ignore[arg-type]  # names of FIELDS
            if "language" in changes:
                changes["language"] = checked.language
        after = await self._store.change(before.id, changes, self._clock.now()) if changes else before
        if after is None:
            raise _unknown("id")
        if changes:
            _log.info("voicebot changed", voicebot_id=after.id, org_id=after.org_id, by=by, fields=sorted(changes))
        return after

    async def delete(self, org_id: str | None, voicebot_id: str, *, by: str) -> Sequence[str]:
        """Forget a voicebot; the objects of its images, to be removed. Calls under way go on. Raises: as `get`."""
        voicebot = await self.get(org_id, voicebot_id)
        objects = await self._store.remove(voicebot.id)
        if objects is None:
            raise _unknown("id")
        _log.info("voicebot deleted", voicebot_id=voicebot.id, org_id=voicebot.org_id, by=by)
        return objects

    def _with_names(self, voicebot: Voicebot) -> Voicebot:
        """The voicebot with its language's tag, once its names are known to fit each other."""
        language = self._check_names(voicebot.voice, voicebot.language, voicebot.model)
        return replace(voicebot, language=language)

    def _or_default(self, name: str, value: str | None) -> str | None:
        defaults = {"instructions": "", "greeting": "", "voice": VOICE, "model": ANSWERS}
        return defaults.get(name) if value is None else value

    def _checked(self, fields: Mapping[str, str | None]) -> dict[str, str | None]:
        """The fields as they are kept; what is empty is None. Raises PeerError."""
        checked: dict[str, str | None] = {}
        for name, value in fields.items():
            assert name in FIELDS, name
            if value is not None:
                _check_text(_wire(name), value)
            if name in ("instructions", "greeting"):
                checked[name] = self._long(name, value)
            else:
                checked[name] = (value or "").strip() or None
        if "name" in checked:
            self._check_name(checked["name"])
        if (url := checked.get("avatar_url")) is not None:
            self._check_url(url)
        if (checked.get("language") or "").lower() == "auto":
            checked["language"] = None
        return checked

    def _long(self, name: str, value: str | None) -> str | None:
        if value is not None and len(value) > self._text_characters:
            raise PeerError(
                f"{name!r} has {len(value):,} characters; at most {self._text_characters:,} are allowed "
                "(agent.instructions_characters)",
                code=Code.INPUT_TOO_LONG,
                param=name,
            )
        return value

    def _check_name(self, name: str | None) -> None:
        most = self._settings.name_characters
        if name is None:
            raise PeerError("'name' is required", code=Code.MISSING_FIELD, param="name")
        if len(name) > most or not name.isprintable():
            raise PeerError(f"'name' has 1 to {most} printable characters (voicebots.name_characters)", param="name")

    def _check_url(self, url: str) -> None:
        most = self._settings.avatar_url_characters
        if len(url) > most:
            raise PeerError(
                f"'avatarUrl' has {len(url):,} characters; at most {most:,} are allowed "
                "(voicebots.avatar_url_characters)",
                param="avatarUrl",
            )
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
        except ValueError:  # brackets or a port that are none
            fits = False
        if not fits or not url.isprintable() or " " in url:
            raise PeerError("'avatarUrl' must be an http or https address", param="avatarUrl")


def _wire(name: str) -> str:
    """What clients call a field."""
    return "avatarUrl" if name == "avatar_url" else name


def _check_text(field: str, text: str) -> None:
    """Refuse what a database cannot hold. Raises PeerError."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PeerError(f"{field!r} holds a NUL or half a surrogate pair, which are no characters", param=field)


def _unknown(param: str) -> PeerError:
    return PeerError("there is no voicebot with this id", code=Code.NOT_FOUND, param=param)
