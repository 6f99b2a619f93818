"""Alembic inside the package: no alembic.ini, no command line, the connection is handed in."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from voxgate.errors import ConfigError

if TYPE_CHECKING:
    from alembic.config import Config


def config(connection: Connection) -> "Config":
    """Alembic's configuration for this folder and this connection."""
    from alembic.config import Config

    made = Config()
    # A doubled percent sign, because Alembic's options go through ConfigParser's interpolation.
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection) -> None:
    """Run every migration that is missing, inside the transaction of `connection`.

    Raises ConfigError where the database is at a revision this version of Voxgate does not have.
    """
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(config(connection), "head")
    except CommandError as error:
        raise ConfigError(
            "the database was written by a newer version of Voxgate; install that version, or restore a backup",
            param="store.url",
        ) from error
