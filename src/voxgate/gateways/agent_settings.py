"""Who may talk to the voice agent over Socket.IO."""

from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import Tier


class AgentSettings(Settings):
    """`[agent]`"""

    tier: Tier = Tier.OWNER
    """The lowest tier of an organization that may hold conversations: `free`, `beta`, `pro` or `owner`."""
    instructions_characters: int = Field(default=20_000, gt=0)
    """Longest system prompt of a conversation, and longest greeting."""

    def admits(self, tier: Tier) -> bool:
        """Whether an organization of this tier may hold conversations."""
        order = list(Tier)
        return order.index(tier) >= order.index(self.tier)
