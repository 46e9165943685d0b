"""Which receive connector a connection falls under, and what that makes possible."""

from __future__ import annotations

from collections.abc import Sequence

from postern.frontends.smtp.settings import ReceiveConnector, SmtpSettings
from postern.model.addresses import is_loopback
from postern.model.networks import Network, parse_address, parse_network, within
from postern.protocols.sasl.server import MECHANISMS, ChannelBinding, offered
from postern.protocols.smtp.extensions import Capabilities

GSSAPI = "GSSAPI"
"""The one mechanism that servers of the organisation sign in by among themselves."""


class Connectors:
    """The connectors of one data path, in order."""

    def __init__(self, connectors: Sequence[ReceiveConnector], data_path: str) -> None:
        """Raises ValueError for what is not a network."""
        self._scopes: list[tuple[list[Network], ReceiveConnector]] = [
            ([parse_network(n) for n in c.remote], c) for c in connectors if data_path in c.listeners
        ]

    def choose(self, address: str) -> ReceiveConnector | None:
        """The first whose scope has the peer; None: there is no service for it."""
        peer = parse_address(address)
        return next((connector for networks, connector in self._scopes if within(peer, networks)), None)


def capabilities(  # noqa: PLR0913 - everything meets here
    settings: SmtpSettings,
    connector: ReceiveConnector,
    address: str,
    *,
    tls: bool,
    starttls: bool,
    binding: ChannelBinding | None,
    certificate: bool = False,
    server: bool = False,
    kerberos: bool = False,
) -> Capabilities:
    """What is announced and allowed now. `starttls`: there is a certificate to upgrade with.

    `server`: one of the organisation's servers is there, which needs no further proof. `kerberos`: they can sign in.
    """
    mechanisms: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    if connector.authenticated:
        clear = tls or (settings.cleartext_login == "loopback" and is_loopback(address))
        mechanisms = offered(settings.mechanisms, clear_text=clear, binding=binding, certificate=certificate)
        if not clear and (connector.require_tls or settings.starttls):
            # AUTH comes only after TLS, SCRAM too: its proof can be attacked off-line by who listens.
            mechanisms = ()
            later = tuple(name for name in MECHANISMS if name in settings.mechanisms)
    return Capabilities(
        hostname=settings.hostname,
        size_limit_bytes=settings.max_message_bytes,
        recipients_max=settings.max_recipients,
        messages_max=settings.max_messages,
        starttls=starttls and not tls,
        tls_required=connector.require_tls and not (settings.cleartext_login == "loopback" and is_loopback(address)),
        mechanisms=mechanisms,
        mechanisms_after_tls=later,
        between_servers=(GSSAPI,) if kerberos and connector.internal_servers and tls and not server else (),
        knows_servers=kerberos and connector.internal_servers,
        auth_required=not (connector.anonymous or connector.anonymous_relay or server),
    )
