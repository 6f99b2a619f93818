from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from voxgate.protocols.rest.voicebots import (
    VoicebotChanges,
    VoicebotRequest,
    image_mappings,
    image_url,
    moment,
    shown_image,
    shown_voicebot,
)
from voxgate.rooms import BotImage, Voicebot

CAT = BotImage("cat", "a cat", "image/jpeg", "c" * 64, 100)
DOG = BotImage("dog", "", "image/webp", "d" * 64, 200)
BOT = Voicebot(
    id="b" * 24,
    org_id="org_1",
    name="Mai",
    avatar_url=None,
    instructions="Be brief.",
    language="vi",
    voice="aria",
    greeting="",
    model="valsea-fast",
    images=(CAT, DOG),
    created_at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    updated_at=datetime(2026, 11, 21, 9, 30, 1, 250_999, tzinfo=UTC),
)
AT = "https://voice.example.com"


def test_a_body_tells_absent_from_null() -> None:
    changes = VoicebotChanges.model_validate({"avatarUrl": None, "voice": "aria"})
    assert changes.fields() == {"avatar_url": None, "voice": "aria"}
    assert VoicebotChanges().fields() == {}
    assert VoicebotRequest(name="Mai").fields() == {"name": "Mai"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "Mai", "instruction": "typo"}, "instruction"),
        ({"name": "Mai", "avatarUrl": 5}, "avatarUrl"),
        ({"name": "Mai", "greeting": ["Hi"]}, "greeting"),
    ],
)
def test_a_body_that_is_wrong_names_its_field(body: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VoicebotRequest.model_validate(body)
    assert [error["loc"] for error in caught.value.errors()] == [(where,)]


def test_the_address_of_an_image_is_that_of_its_content() -> None:
    assert image_url(AT, BOT.id, CAT) == f"{AT}/images/{BOT.id}/{CAT.digest}.jpg"


def test_images_are_told_as_the_contract_says() -> None:
    assert image_mappings(AT, BOT) == [
        {"key": "cat", "url": image_url(AT, BOT.id, CAT), "description": "a cat"},
        {"key": "dog", "url": image_url(AT, BOT.id, DOG)},
    ]


def test_a_voicebot_is_told_to_its_owner() -> None:
    assert shown_voicebot(AT, BOT) == {
        "id": BOT.id,
        "name": "Mai",
        "avatarUrl": None,
        "instructions": "Be brief.",
        "language": "vi",
        "voice": "aria",
        "greeting": "",
        "model": "valsea-fast",
        "images": [
            image_mappings(AT, BOT)[0] | {"mediaType": "image/jpeg", "size": 100, "sha256": CAT.digest},
            shown_image(AT, BOT.id, DOG),
        ],
        "createdAt": "2026-11-21T09:30:00.000Z",
        "updatedAt": "2026-11-21T09:30:01.250Z",
    }


def test_a_moment_is_told_in_utc() -> None:
    assert moment(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=7)))) == "2025-12-31T19:00:00.000Z"
