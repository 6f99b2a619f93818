"""Every store over one database, for whoever wires them together."""

from dataclasses import dataclass
from typing import Self

from voxgate.clock import Clock
from voxgate.store.accounts import SqlAccounts
from voxgate.store.books import SqlBooks
from voxgate.store.client_secrets import SqlClientSecrets, SqlCredentials
from voxgate.store.database import Database
from voxgate.store.idempotency import SqlIdempotency
from voxgate.store.keys import SqlKeys
from voxgate.store.ledger import SqlLedger
from voxgate.store.outbox import SqlOutbox
from voxgate.store.rooms import SqlRooms
from voxgate.store.sessions import SqlSessions
from voxgate.store.spending import SqlSpending
from voxgate.store.usage import SqlUsage
from voxgate.store.voicebots import SqlVoicebots


@dataclass(frozen=True, slots=True)
class Stores:
    """One database, seen as each service sees it."""

    accounts: SqlAccounts
    keys: SqlKeys
    """To be closed before the database: it writes when keys were last used."""
    secrets: SqlClientSecrets
    credentials: SqlCredentials
    ledger: SqlLedger
    books: SqlBooks
    idempotency: SqlIdempotency
    spending: SqlSpending
    usage: SqlUsage
    sessions: SqlSessions
    voicebots: SqlVoicebots
    rooms: SqlRooms
    outbox: SqlOutbox

    @classmethod
    def over(cls, database: Database, clock: Clock, *, notify: bool = False) -> Self:
        """All of them over an open database. `notify`: whether the operator has a webhook for what happens in rooms."""
        keys, secrets, ledger = SqlKeys(database, clock), SqlClientSecrets(database, clock), SqlLedger(database, clock)
        return cls(
            accounts=SqlAccounts(database, clock),
            keys=keys,
            secrets=secrets,
            credentials=SqlCredentials(keys, secrets),
            ledger=ledger,
            books=SqlBooks(database, clock, notify=notify),
            idempotency=SqlIdempotency(database, clock, ledger),
            spending=SqlSpending(database),
            usage=SqlUsage(database),
            sessions=SqlSessions(database),
            voicebots=SqlVoicebots(database),
            rooms=SqlRooms(database, clock, ledger, notify=notify),
            outbox=SqlOutbox(database),
        )
