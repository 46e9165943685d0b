"""Messages from the queue into mailboxes, in the same form as at their acceptance."""

from __future__ import annotations

from postern.formats.mime.scan import new_item
from postern.formats.mime.trace import return_path_line
from postern.model.transfer import LocalCopy
from postern.services.calendar import meeting_mail
from postern.services.local_delivery import Wakes, scan_content
from postern.store.interface import Delivery, Store


class CopyDelivery:
    """Delivers copies that had to wait."""

    def __init__(self, store: Store, assistants: Wakes | None = None) -> None:
        self._store = store
        self._assistants = assistants

    async def deliver(self, copy: LocalCopy) -> None:
        """Put it into INBOX, once for each key however often it is asked; durable on return.

        Raises the store's refusals and OSError if the body cannot be read.
        """
        body = await self._store.blobs.read(copy.content.blob)
        prefix = return_path_line(copy.reverse_path) + copy.content.prefix
        scanned = await scan_content(body)
        item = new_item(scanned, copy.content.blob, copy.content.body_size, prefix, int(copy.received_at))
        item, sets_off = await meeting_mail.mark(item, body, scanned, copy.reverse_path)
        (result,) = await self._store.deliver([Delivery(copy.mailbox, copy.key, item, sets_off=sets_off)])
        if result.refusal is not None:
            raise result.refusal
        if sets_off and self._assistants is not None:
            self._assistants.wake(copy.mailbox)
        # the queue forgets the copy next: the mailbox must not lose it then
        await (await self._store.mailbox(copy.mailbox)).durable()
