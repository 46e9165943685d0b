"""The entry: serves a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from postern.frontends.pop3.connection import Connection, Shared
from postern.frontends.pop3.ports import Mailboxes, Maildrops
from postern.frontends.pop3.replies import REPLIES, reply_to
from postern.frontends.pop3.settings import Pop3Settings
from postern.frontends.ports import Authentication, Stream
from postern.model.ports import Entropy
from postern.model.refusal import Reason, Refusal
from postern.net.stream import Ended
from postern.protocols.pop3.replies import error, ok

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping

_log = logging.getLogger(__name__)


class Pop3Frontend:
    """One for each POP3 data path in a worker."""

    def __init__(
        self,
        settings: Pop3Settings,
        mailboxes: Mailboxes,
        authentication: Authentication,
        maildrops: Maildrops,
        entropy: Entropy,
        tls: Callable[[], ssl.SSLContext | Wrapping | None] = lambda: None,
    ) -> None:
        """`tls` gives the context for STLS as it is at the moment; None: not offered."""
        self._shared = Shared(settings, mailboxes, authentication, maildrops, entropy, tls)

    async def handle(self, stream: Stream) -> None:
        """Serve one connection to its end. Nothing is deleted unless the client says QUIT (RFC 1939 6)."""
        connection = Connection(self._shared, stream)
        try:
            stream.write(ok(f"{self._shared.settings.server_name} Postern ready"))
            await connection.run()
        except TimeoutError:
            stream.write(error("nothing was heard for too long", "SYS/TEMP"))
        except Ended as ended:
            stream.write(REPLIES[ended.reason])
        except ConnectionResetError:
            pass
        except (ConnectionError, asyncio.CancelledError) as stopping:
            stream.write(REPLIES[Reason.SHUTTING_DOWN])
            if isinstance(stopping, asyncio.CancelledError):
                raise
        except Refusal as refusal:
            _log.warning("pop3 session of %s ended: %s", connection.user, refusal)
            stream.write(reply_to(refusal))
        finally:
            connection.release()
            stream.close()
