"""A worker's front ends: one for each protocol and data path, made from settings and catalogue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from postern.config.listeners import Listening
from postern.config.published import published
from postern.config.settings import Settings
from postern.frontends.imap.frontend import ImapFrontend
from postern.frontends.imap.settings import ImapSettings
from postern.frontends.ldap.frontend import FULL as LDAP_FULL
from postern.frontends.ldap.frontend import LdapFrontend
from postern.frontends.ldap.settings import LdapSettings
from postern.frontends.managesieve.frontend import FULL as MANAGESIEVE_FULL
from postern.frontends.managesieve.frontend import ManageSieveFrontend
from postern.frontends.managesieve.settings import ManageSieveSettings
from postern.frontends.pop3.frontend import Pop3Frontend
from postern.frontends.pop3.settings import Pop3Settings
from postern.frontends.smtp.frontend import SmtpFrontend
from postern.frontends.smtp.settings import ReceiveConnector, SmtpSettings
from postern.model.ports import Resolver
from postern.model.refusal import Reason
from postern.net.stream import Stream
from postern.net.tls import Wrapping
from postern.roles.gauges import ServerMetrics
from postern.roles.maildrops import MaildropLocks
from postern.roles.parts import Parts
from postern.roles.peers import PeerCertificates
from postern.roles.sockets import TlsContexts
from postern.services.address_book import AddressBook
from postern.services.calendar.agenda import Agendas
from postern.services.mailboxes import Mailboxes
from postern.services.mailflow import Mailflow
from postern.services.rules.rulebook import RuleBooks
from postern.services.sender_domains import SenderDomains
from postern.telemetry import log

if TYPE_CHECKING:
    from postern.roles.web import Web

MAILDROPS_FILE = "maildrops"

Handler = Callable[[Stream], Awaitable[None]]


class SmtpCounters:
    """The SMTP front end's hooks, counted."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    def opened(self, data_path: str) -> None:
        """Counted by the listener."""

    def closed(self, data_path: str, reason: str) -> None:
        """Counted by the listener."""

    def accepted(self, data_path: str, octets: int, recipients: int) -> None:
        """A message was answered with 250."""
        self._metrics.accepted.add()
        self._metrics.accepted_octets.add(octets)
        self._metrics.accepted_recipients.add(recipients)

    def refused(self, data_path: str, stage: str, reason: str) -> None:
        """A command was refused."""
        self._metrics.smtp_refusals[reason].add()


IMAP_FULL = b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n"  # RFC 5530 3
HTTP_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 30\r\nConnection: close\r\n\r\n"
POP3_FULL = b"-ERR [SYS/TEMP] too many connections, try again later\r\n"  # RFC 3206 4


class Frontends(msgspec.Struct):
    """Makes handlers."""

    settings: Settings
    parts: Parts
    mailflow: Mailflow
    mailboxes: Mailboxes
    agendas: Agendas
    address_book: AddressBook
    authentication: Any
    resolver: Resolver
    maildrops: MaildropLocks
    pressure: Callable[[], Reason | None]
    metrics: ServerMetrics
    tls: TlsContexts
    peers: PeerCertificates
    https_port: int = 0
    """As really open; 0: not at all."""
    _web: Web | None = None

    def handler(self, listening: Listening) -> tuple[Handler, int, bytes]:
        """A data path's handler, how many connections it may have in this worker, and what the next one is told."""
        make = {
            "smtp": self._smtp,
            "imap": self._imap,
            "pop3": self._pop3,
            "managesieve": self._managesieve,
            "ldap": self._ldap,
            "http": self._http,
        }
        return make[listening.path.protocol](listening)

    def _context(self, listening: Listening) -> Callable[[], Wrapping]:
        """What STARTTLS upgrades with, as it is at the moment."""
        return lambda: self.tls.of(listening)

    def _smtp(self, listening: Listening) -> tuple[Handler, int, bytes]:
        own = self.settings.smtp
        settings = SmtpSettings(
            data_path=listening.path.id,
            hostname=self.settings.server.hostname,
            starttls=listening.path.starttls,
            mechanisms=listening.mechanisms,
            cleartext_login=self.settings.authentication.cleartext_login,
            connectors=tuple(
                ReceiveConnector(
                    name=connector.name,
                    listeners=connector.listeners,
                    remote=connector.remote,
                    anonymous=connector.anonymous,
                    anonymous_relay=connector.anonymous_relay,
                    authenticated=connector.authenticated,
                    check_sender=connector.check_sender,
                    check_sender_domain=connector.check_sender_domain,
                    require_tls=connector.require_tls,
                    internal_servers=connector.internal_servers,
                )
                for connector in self.settings.receive_connector
            ),
            max_message_bytes=own.max_message_bytes,
            max_recipients=own.max_recipients,
            max_messages=own.max_messages,
            max_connections=own.max_connections,
            max_connections_per_address=own.max_connections_per_address,
            command_timeout_s=own.command_timeout_s,
            data_timeout_s=own.data_timeout_s,
            bare_newlines=own.bare_newlines,
        )
        frontend = SmtpFrontend(
            settings,
            self.mailflow,
            self.authentication,
            self.parts.clock,
            self.parts.entropy,
            tls=self._context(listening),
            resolver=self.resolver,
            pressure=self.pressure,
            metrics=SmtpCounters(self.metrics),
            log=log.logger(part="smtp"),
            peers=self.peers,
            sender_domains=SenderDomains(self.resolver, self.parts.directory),
        )
        # a connection above the limit is told so by the front end; the listener only stops floods
        return frontend.handle, own.max_connections * 2, b""

    def _imap(self, listening: Listening) -> tuple[Handler, int, bytes]:
        own = self.settings.imap
        settings = ImapSettings(
            server_name=self.settings.server.hostname,
            mechanisms=listening.mechanisms,
            cleartext_login=self.settings.authentication.cleartext_login,
            login_timeout_s=own.login_timeout_s,
            idle_timeout_s=own.idle_timeout_s,
            append_bytes=own.max_append_bytes,
            disabled_capabilities=own.disabled_capabilities,
            disabled_for={address.lower(): names for address, names in own.disabled_for.items()},
        )
        frontend = ImapFrontend(
            settings,
            self.mailboxes,
            self.authentication,
            self.parts.entropy,
            self._context(listening),
            self.parts.clock,
        )
        return frontend.handle, own.max_connections, IMAP_FULL

    def _pop3(self, listening: Listening) -> tuple[Handler, int, bytes]:
        own = self.settings.pop3
        settings = Pop3Settings(
            server_name=self.settings.server.hostname,
            starttls=listening.path.starttls,
            mechanisms=listening.mechanisms,
            cleartext_login=self.settings.authentication.cleartext_login,
            login_timeout_s=own.login_timeout_s,
            idle_timeout_s=own.idle_timeout_s,
            login_delay_s=own.login_delay_s,
            expire_days=own.expire_days or None,
        )
        frontend = Pop3Frontend(
            settings, self.mailboxes, self.authentication, self.maildrops, self.parts.entropy, self._context(listening)
        )
        return frontend.handle, own.max_connections, POP3_FULL

    def _managesieve(self, listening: Listening) -> tuple[Handler, int, bytes]:
        own = self.settings.managesieve
        settings = ManageSieveSettings(
            server_name=self.settings.server.hostname,
            starttls=listening.path.starttls,
            mechanisms=listening.mechanisms,
            cleartext_login=self.settings.authentication.cleartext_login,
            login_timeout_s=own.login_timeout_s,
            idle_timeout_s=own.idle_timeout_s,
        )
        books = RuleBooks(self.mailboxes, self.parts.bus)
        frontend = ManageSieveFrontend(
            settings, books, self.authentication, self.parts.entropy, self._context(listening)
        )
        return frontend.handle, own.max_connections, MANAGESIEVE_FULL

    def _ldap(self, listening: Listening) -> tuple[Handler, int, bytes]:
        own = self.settings.ldap
        settings = LdapSettings(
            server_name=self.settings.server.hostname,
            autodiscover=published(self.settings, ()).autodiscover,
            starttls=listening.path.starttls,
            mechanisms=listening.mechanisms,
            cleartext_login=self.settings.authentication.cleartext_login,
            login_timeout_s=own.login_timeout_s,
            idle_timeout_s=own.idle_timeout_s,
            max_entries=own.max_entries,
            time_limit_s=own.time_limit_s,
        )
        frontend = LdapFrontend(
            settings,
            self.address_book,
            self.authentication,
            self.parts.clock,
            self.parts.entropy,
            self._context(listening),
        )
        return frontend.handle, own.max_connections, LDAP_FULL

    def _http(self, listening: Listening) -> tuple[Handler, int, bytes]:
        # what HTTP needs is in memory only where a listener speaks it
        from postern.roles.exchange import Mail
        from postern.roles.web import Web

        if self._web is None:
            mail = Mail(self.mailboxes, self.mailflow, self.address_book, self.agendas)
            self._web = Web(self.settings, self.parts, self.authentication, self.metrics, mail)
        handler = self._web.handler(listening, self.https_port)
        return handler, self.settings.http.max_connections, HTTP_FULL

    async def stop(self) -> None:
        """End what front ends do without being asked."""
        if self._web is not None:
            await self._web.stop()

    def close(self) -> None:
        """Release what front ends share."""
        if self._web is not None:
            self._web.close()
        self.maildrops.close()
        self.authentication.close()
