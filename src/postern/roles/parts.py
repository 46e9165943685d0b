"""The parts of a data directory, put together: for a worker, for the background process, for a command."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from postern.config.settings import Settings
from postern.directory.failures import FailureLog, LockTimes
from postern.directory.passwords import HashCost
from postern.directory.sqlite import SqliteDirectory
from postern.model.ids import MailboxId
from postern.model.items import Quota
from postern.net.clock import SystemClock, SystemEntropy
from postern.roles import mechanisms
from postern.roles.bus import SharedBus
from postern.roles.outbound import schedule
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.lifecycle import DIRECTORY_SLOT, Sessions
from postern.services.limits import LimitSettings
from postern.services.server_trust import ServerTrust
from postern.services.signin_log import SignInLog
from postern.store.blobs import SegmentBlobs
from postern.store.journal.layout import journal_directory
from postern.store.sqlite.claims import Claims
from postern.store.sqlite.engine import SqliteStore
from postern.store.sqlite.host import MAX_OPEN
from postern.telemetry.daily import DailyLines
from postern.transport.queue import QueueStore
from postern.transport.tracking import Tracker

BUS_FILE = "bus"
CLAIMS_FILE = "assistants.lock"
DIRECTORY_FILE = "directory.db"
FAILURES_FILE = "failures.db"
OFFLINE_DIRECTORY = "oab"
QUEUE_FILE = "queue.db"
TRACKING_DIRECTORY = "tracking"
SIGN_INS_DIRECTORY = "sign-ins"


def limit_settings(settings: Settings) -> LimitSettings:
    """`[authentication]`'s limits of failures."""
    own = settings.authentication
    return LimitSettings(
        failures_per_address=own.failures_per_address,
        failures_per_account_and_address=own.failures_per_account_and_address,
        failures_per_account=own.failures_per_account,
        codes_per_account=own.codes_per_account,
        times=LockTimes(float(own.failure_window_s), float(own.lock_s), float(own.lock_max_s)),
        failure_delay_s=own.failure_delay_s,
        failure_delay_max_s=own.failure_delay_max_s,
    )


class Parts(msgspec.Struct):
    """What every process that touches the data directory has of its own."""

    settings: Settings
    data: Path
    clock: SystemClock
    entropy: SystemEntropy
    bus: SharedBus
    directory: SqliteDirectory
    blobs: SegmentBlobs
    store: SqliteStore
    queue: QueueStore
    tracker: Tracker
    claims: Claims
    process: str = "command"
    """Its name in logs."""

    @classmethod
    def open(cls, settings: Settings, name: str, process: int | None, epoch: int, *, max_open: int = MAX_OPEN) -> Self:
        """In the loop of the process that uses them. `name` is the process's in tracking and claims.

        At most `max_open` mailbox files stay open. Raises Refusal, OSError.
        """
        data = settings.data_dir
        clock, entropy = SystemClock(), SystemEntropy()
        bus = SharedBus(data / BUS_FILE, process)
        journals = journal_directory(data)
        journals.mkdir(parents=True, exist_ok=True)
        blobs = SegmentBlobs(journals)
        directory = SqliteDirectory(
            data / DIRECTORY_FILE,
            entropy,
            clock,
            lambda generation: bus.publish(DIRECTORY_SLOT, generation),
            settings.server.hostname,
        )
        limit = settings.store.max_messages or None
        store = SqliteStore(data, blobs, bus, clock, epoch, max_open=max_open, max_items=limit)

        async def mirrored(mailbox: MailboxId) -> tuple[int, Quota] | None:
            """A source may have more accounts than ever get mail: their mailboxes are made at first use."""
            account = await directory.account_of(mailbox)
            return (account.slot, account.quota) if account is not None and account.source else None

        store.made_at_first_use = mirrored
        return cls(
            settings=settings,
            data=data,
            clock=clock,
            entropy=entropy,
            bus=bus,
            directory=directory,
            blobs=blobs,
            store=store,
            queue=QueueStore(data / QUEUE_FILE, clock, entropy, schedule(settings)),
            tracker=Tracker(data / TRACKING_DIRECTORY, clock, name),
            claims=Claims(data / CLAIMS_FILE),
            process=name,
        )

    def authentication(self, sessions: Sessions | None = None, trust: ServerTrust | None = None) -> Authentication:
        """A new verifier with its threads; with `trust` it knows the certificates of the organisation's servers."""
        own = self.settings.authentication
        verifier = Authentication(
            self.directory,
            FailureLog(self.data / FAILURES_FILE),
            self.clock,
            self.entropy,
            AuthenticationSettings(
                limits=limit_settings(self.settings),
                cache_s=own.cache_s,
                threads=own.threads,
                max_waiting=own.max_waiting,
                cost=HashCost(own.argon2_passes, own.argon2_memory_kib, own.scram_iterations),
                upgrade=own.upgrade_hashes,
                domains=own.domains,
            ),
            sessions=sessions,
            log=SignInLog(
                self.directory, DailyLines(self.data / SIGN_INS_DIRECTORY, self.clock, self.process), self.clock
            ),
        )
        mechanisms.register(verifier, self.settings, self.directory, self.data, self.clock, self.entropy, trust)
        return verifier

    async def close(self) -> None:
        """Release everything."""
        self.tracker.close()
        await self.queue.close()
        await self.store.close()
        await self.directory.close()
        self.claims.close()
        self.bus.close()
