"""Whom push notifications may be sent to, and whose subscriptions there are."""

from __future__ import annotations

from collections.abc import Sequence

from postern.model.ids import MailboxId
from postern.protocols.ews import push_xml
from postern.services.push_register import PushRegister


class PushPlaces:
    """One a worker."""

    def __init__(self, urls: Sequence[str], register: PushRegister) -> None:
        """`urls`: places that may be called, as the setting has them."""
        self._places = tuple(push_xml.allowed(url) for url in urls)
        self.register = register

    @property
    def any(self) -> bool:
        """Whether anybody may be called at all."""
        return bool(self._places)

    def may(self, url: str) -> bool:
        """Whether a URL may be called."""
        return push_xml.may_be_called(url, self._places)

    async def subscribed(self, mailbox: MailboxId) -> None:
        """Somebody has a push subscription now; durable on return."""
        await self.register.add(mailbox)
