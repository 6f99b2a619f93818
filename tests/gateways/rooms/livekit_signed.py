"""Webhooks as a LiveKit server signs them."""

import base64
import hashlib

from livekit.api import AccessToken


def signature(body: str, key: str, secret: str) -> str:
    """The `Authorization` of a webhook with this body."""
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    return AccessToken(key, secret).with_sha256(digest).to_jwt()
