"""The entry: serves a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from postern.frontends.imap import (
    acl,
    append,
    authenticate,
    compress,
    fetch,
    folders,
    idle,
    listing,
    metadata,
    multisearch,
    notify,
    quota,
    search,
    select,
    sort,
    store,
    transfer,
)
from postern.frontends.imap.connection import Connection, Handler, Shared
from postern.frontends.imap.ports import Mailboxes
from postern.frontends.imap.settings import ImapSettings
from postern.frontends.ports import Authentication, Stream
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Refusal
from postern.net.clock import SystemClock
from postern.net.stream import Ended, Stopping
from postern.protocols.imap import render

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping

_log = logging.getLogger(__name__)

HANDLERS: Mapping[bytes, Handler] = {
    b"CAPABILITY": authenticate.capability,
    b"NOOP": select.noop,
    b"LOGOUT": authenticate.logout,
    b"ID": authenticate.client_id,
    b"STARTTLS": authenticate.start_tls,
    b"AUTHENTICATE": authenticate.authenticate,
    b"LOGIN": authenticate.login,
    b"ENABLE": authenticate.enable,
    b"UNAUTHENTICATE": authenticate.unauthenticate,
    b"COMPRESS": compress.compress,
    b"SELECT": select.select,
    b"EXAMINE": select.examine,
    b"CREATE": folders.create,
    b"DELETE": folders.delete,
    b"RENAME": folders.rename,
    b"SUBSCRIBE": folders.subscribe,
    b"UNSUBSCRIBE": folders.unsubscribe,
    b"LIST": listing.list_,
    b"LSUB": listing.lsub,
    b"NAMESPACE": listing.namespace,
    b"STATUS": listing.status,
    b"APPEND": append.append,
    b"IDLE": idle.idle,
    b"NOTIFY": notify.notify,
    b"ESEARCH": multisearch.esearch,
    b"GETQUOTA": quota.get_quota,
    b"GETQUOTAROOT": quota.get_quota_root,
    b"SETQUOTA": quota.set_quota,
    b"GETACL": acl.get_acl,
    b"SETACL": acl.set_acl,
    b"DELETEACL": acl.delete_acl,
    b"LISTRIGHTS": acl.list_rights,
    b"MYRIGHTS": acl.my_rights,
    b"GETMETADATA": metadata.get_metadata,
    b"SETMETADATA": metadata.set_metadata,
    b"CHECK": select.check,
    b"CLOSE": select.close,
    b"UNSELECT": select.unselect,
    b"EXPUNGE": transfer.expunge,
    b"UID EXPUNGE": transfer.expunge,
    b"SEARCH": search.search,
    b"UID SEARCH": search.search,
    b"SORT": sort.sort,
    b"UID SORT": sort.sort,
    b"THREAD": sort.thread,
    b"UID THREAD": sort.thread,
    b"FETCH": fetch.fetch,
    b"UID FETCH": fetch.fetch,
    b"STORE": store.store,
    b"UID STORE": store.store,
    b"COPY": transfer.copy,
    b"UID COPY": transfer.copy,
    b"MOVE": transfer.move,
    b"UID MOVE": transfer.move,
    b"REPLACE": append.replace,
    b"UID REPLACE": append.replace,
    b"CANCELUPDATE": search.cancel_update,
}


class ImapFrontend:
    """One per worker."""

    def __init__(
        self,
        settings: ImapSettings,
        mailboxes: Mailboxes,
        authentication: Authentication,
        entropy: Entropy,
        tls: Callable[[], ssl.SSLContext | Wrapping | None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        """`tls` gives the context for STARTTLS as it is at the moment (a reload changes it); None: not offered."""
        self._shared = Shared(settings, mailboxes, authentication, entropy, tls, clock or SystemClock())

    async def handle(self, stream: Stream) -> None:
        """Serve one connection to its end. Cancelling it says BYE and closes."""
        connection = Connection(self._shared, stream, HANDLERS)
        try:
            connection.out.append(
                b"* OK [CAPABILITY %b] %b Postern ready\r\n"
                % (authenticate.capabilities(connection), self._shared.settings.server_name.encode("idna"))
            )
            await connection.run()
        except TimeoutError:
            connection.stream.write(b"* BYE [UNAVAILABLE] Nothing was heard for too long\r\n")
        except Ended as ended:
            connection.stream.write(b"* BYE [%b] %b\r\n" % render.CODES[ended.reason])
        except (Stopping, asyncio.CancelledError) as stopping:
            connection.stream.write(b"* BYE [UNAVAILABLE] The server is stopping, connect again\r\n")
            if isinstance(stopping, asyncio.CancelledError):
                raise
        except ConnectionError:
            pass  # the client went away, or its TLS failed: nobody is left to tell
        except Refusal as refusal:
            # nothing that was answered OK is lost: the OKs had not left
            _log.warning("imap session of %s ended: %s", connection.user, refusal)
            connection.stream.write(b"* BYE [UNAVAILABLE] Try again later\r\n")
        except Exception:
            _log.exception("imap session of %s failed", connection.user)
            connection.stream.write(b"* BYE [SERVERBUG] Internal error\r\n")
        finally:
            for _, work in connection.appending:
                work.cancel()
            if connection.watch is not None:
                connection.watch.end(connection)
            connection.selected = None
            connection.release()
            connection.stream.close()
