"""The entry: serves a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from postern.frontends.ldap.answers import ENDED
from postern.frontends.ldap.connection import Connection, Shared
from postern.frontends.ldap.ports import AddressBook
from postern.frontends.ldap.settings import LdapSettings
from postern.frontends.ports import Authentication, Stream
from postern.model.ports import Clock, Entropy
from postern.model.refusal import ProtocolViolation, Refusal
from postern.net.stream import Ended, Stopping
from postern.protocols.ldap.results import Code
from postern.protocols.ldap.server import ServerSession

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping

FULL = ServerSession().disconnection(Code.BUSY, "too many connections, try again later")
"""For a connection above the limit."""

_log = logging.getLogger(__name__)


class LdapFrontend:
    """One for each LDAP data path in a worker."""

    def __init__(
        self,
        settings: LdapSettings,
        book: AddressBook,
        authentication: Authentication,
        clock: Clock,
        entropy: Entropy,
        tls: Callable[[], ssl.SSLContext | Wrapping | None] = lambda: None,
    ) -> None:
        """`tls` gives the context for StartTLS as it is at the moment; None: not offered."""
        self._shared = Shared(settings, book, authentication, clock, entropy, tls)

    async def handle(self, stream: Stream) -> None:
        """Serve one connection to its end."""
        connection = Connection(self._shared, stream)
        try:
            await connection.run()
        except TimeoutError:
            stream.write(connection.disconnection(Code.UNAVAILABLE, "nothing was heard for too long"))
        except ProtocolViolation as violation:
            _log.info("ldap session ended: %s", violation)
            stream.write(connection.disconnection(Code.PROTOCOL_ERROR, str(violation)))
        except Ended as ended:
            # RFC 4511 4.4.1: the association that stood for the session is no longer good
            stream.write(connection.disconnection(Code.STRONGER_AUTH_REQUIRED, ENDED.get(ended.reason, "")))
        except Stopping:
            await connection.finish()
            stream.write(connection.disconnection(Code.UNAVAILABLE, "the server is stopping"))
        except ConnectionResetError:
            pass
        except (ConnectionError, asyncio.CancelledError) as stopping:
            stream.write(connection.disconnection(Code.UNAVAILABLE, "the server is stopping"))
            if isinstance(stopping, asyncio.CancelledError):
                raise
        except Refusal as refusal:
            _log.warning("ldap session of %s ended: %s", connection.user, refusal)
            stream.write(connection.disconnection(Code.UNAVAILABLE))
        finally:
            await connection.release()
            stream.close()
