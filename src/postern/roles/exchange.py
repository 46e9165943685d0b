"""A worker's Exchange Web Services: what their operations use, and the notifications that go out by themselves."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from postern.config.settings import Settings
from postern.frontends.ews.call import Services
from postern.frontends.ews.push_places import PushPlaces
from postern.frontends.ews.pushing import Pushing
from postern.net.posting import Poster
from postern.roles.parts import Parts
from postern.services.address_book import AddressBook
from postern.services.calendar.agenda import Agendas
from postern.services.calendar.availability import FreeBusy
from postern.services.delegation import Delegation
from postern.services.folder_sharing import FolderSharing
from postern.services.identities import Identities
from postern.services.mail_tips import MailTips
from postern.services.mailboxes import Mailboxes
from postern.services.mailflow import Mailflow
from postern.services.permissions import Permissions
from postern.services.push_register import PushRegister
from postern.services.rooms import Rooms
from postern.services.rules.rulebook import RuleBooks
from postern.services.submission import Submission
from postern.store.sqlite.claims import Claims
from postern.telemetry import log

PUSH_DIRECTORY = "push"
"""A file for each mailbox whose owner has push subscriptions."""
PUSH_LOCK = "push.lock"
"""Which process sends."""


class Mail(NamedTuple):
    """What virtual directories reach mailboxes by."""

    mailboxes: Mailboxes
    mailflow: Mailflow
    address_book: AddressBook
    agendas: Agendas


class Exchange:
    """One a worker; made in its loop."""

    def __init__(self, settings: Settings, parts: Parts, mail: Mail) -> None:
        places = PushPlaces(settings.ews.push_urls, PushRegister(parts.data / PUSH_DIRECTORY))
        self.services = Services(
            mailboxes=mail.mailboxes,
            identities=Identities(parts.directory, Permissions(parts.directory), parts.clock),
            submission=Submission(mail.mailflow, parts.clock, parts.entropy, settings.server.hostname),
            sharing=FolderSharing(parts.directory),
            address_book=mail.address_book,
            clock=parts.clock,
            entropy=parts.entropy,
            log=log.logger(part="ews"),
            agendas=mail.agendas,
            availability=FreeBusy(parts.store, parts.directory),
            rules=RuleBooks(mail.mailboxes, parts.bus),
            delegation=Delegation(mail.mailboxes, parts.store, parts.directory),
            rooms=Rooms(parts.directory),
            tips=MailTips(parts.store, parts.directory, parts.clock, settings.smtp.max_message_bytes),
            push=places,
        )
        self._claims = Claims(parts.data / PUSH_LOCK)
        self._pushing: asyncio.Task[None] | None = None
        if places.any:
            self._pushing = asyncio.create_task(Pushing(self.services, places.register, self._claims, Poster()).run())

    async def stop(self) -> None:
        """Send nothing more; what is on its way is sent again by whoever comes next."""
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
        self._claims.close()
