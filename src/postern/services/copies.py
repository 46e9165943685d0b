"""Messages from the queue into mailboxes, in the same form as at their acceptance."""

from __future__ import annotations

from postern.formats.mime.downgrade import needs
from postern.formats.mime.scan import new_item
from postern.formats.mime.trace import return_path_line
from postern.model.transfer import LocalCopy
from postern.services.calendar import meeting_mail
from postern.services.local_delivery import Wakes
from postern.services.rules.at_delivery import AtDelivery
from postern.services.rules.deciding import Incoming
from postern.services.scanning import scan_content
from postern.store.interface import Delivery, Store


class CopyDelivery:
    """Delivers copies that had to wait."""

    def __init__(self, store: Store, rules: AtDelivery | None = None, assistants: Wakes | None = None) -> None:
        self._store = store
        self._rules = rules
        self._assistants = assistants

    async def deliver(self, copy: LocalCopy) -> None:
        """Put it into INBOX, or where rules want it, once for each key however often it is asked; durable on return.

        Raises the store's refusals and OSError if the body cannot be read.
        """
        body = await self._store.blobs.read(copy.content.blob)
        prefix = return_path_line(copy.reverse_path) + copy.content.prefix
        scanned = await scan_content(body)
        item = new_item(scanned, copy.content.blob, copy.content.body_size, prefix, int(copy.received_at))
        item, sets_off = await meeting_mail.mark(item, body, scanned, copy.reverse_path)
        delivery = Delivery(copy.mailbox, copy.key, item, sets_off=sets_off)
        if self._rules is None:
            (result,) = await self._store.deliver([delivery])
        else:
            self._rules.refresh()
            incoming = Incoming(
                body, prefix, scanned, copy.reverse_path, copy.recipient.address, copy.received_at, needs(body)
            )
            placed = await self._rules.place(delivery, incoming)
            try:
                (result,) = await self._store.deliver([placed.delivery])
            finally:
                self._rules.committed(placed)
        if result.refusal is not None:
            raise result.refusal
        if sets_off and self._assistants is not None:
            self._assistants.wake(copy.mailbox)
        # the queue forgets the copy next: the mailbox must not lose it then
        await (await self._store.mailbox(copy.mailbox)).durable()
