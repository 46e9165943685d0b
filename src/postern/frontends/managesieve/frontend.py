"""The entry: serves a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from postern.frontends.managesieve.connection import Books, Connection, Shared
from postern.frontends.managesieve.replies import REPLIES
from postern.frontends.managesieve.settings import ManageSieveSettings
from postern.frontends.ports import Authentication, Stream
from postern.model.ports import Entropy
from postern.model.refusal import Reason, Refusal
from postern.net.stream import Ended
from postern.protocols.managesieve.replies import bye

if TYPE_CHECKING:
    from postern.net.tls import Wrapping

_log = logging.getLogger(__name__)
FULL = bye("too many connections, try again later", b"TRYLATER")


class ManageSieveFrontend:
    """One for each ManageSieve data path in a worker."""

    def __init__(
        self,
        settings: ManageSieveSettings,
        books: Books,
        authentication: Authentication,
        entropy: Entropy,
        tls: Callable[[], Wrapping | None] = lambda: None,
    ) -> None:
        """`tls` gives the context for STARTTLS as it is at the moment; None: not offered."""
        self._shared = Shared(settings, books, authentication, entropy, tls)

    async def handle(self, stream: Stream) -> None:
        """Serve one connection to its end."""
        connection = Connection(self._shared, stream)
        try:
            await connection.run()
        except TimeoutError:
            stream.write(bye("nothing was heard for too long"))
        except Ended as ended:
            stream.write(bye(*REPLIES[ended.reason]))
        except ConnectionResetError:
            pass
        except (ConnectionError, asyncio.CancelledError) as stopping:
            stream.write(bye(*REPLIES[Reason.SHUTTING_DOWN]))
            if isinstance(stopping, asyncio.CancelledError):
                raise
        except Refusal as refusal:
            _log.warning("managesieve session of %s ended: %s", connection.user, refusal)
            stream.write(bye(*REPLIES[refusal.reason]))
        finally:
            connection.release()
            stream.close()
