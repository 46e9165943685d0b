"""A worker's web host: virtual directories, sign-in and pages, put together from settings and catalogue.

Imported only where a listener speaks HTTP: before the fork, so that the workers share it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from postern.config.listeners import Listening
from postern.config.published import published
from postern.config.settings import Settings
from postern.directory.endings import Endings
from postern.frontends.autodiscover.application import BODY_BYTES, Autodiscover, Profile
from postern.frontends.autodiscover.everybody import Autoconfig, JsonAutodiscover
from postern.frontends.calendar.application import PublishedCalendars
from postern.frontends.ews.frontend import Ews
from postern.frontends.ews.frontend import busy as ews_busy
from postern.frontends.http import rendering
from postern.frontends.http.asgi import Answer, Application
from postern.frontends.http.connection import Shared
from postern.frontends.http.digests import Digests
from postern.frontends.http.forms import FORM_BYTES, Forms
from postern.frontends.http.frontend import HttpFrontend
from postern.frontends.http.gate import Gate
from postern.frontends.http.one_time_codes import PLACE, OneTimeCodes
from postern.frontends.http.redirect import AcmeChallenges, ToHttps
from postern.frontends.http.reserved import NAMES as RESERVED
from postern.frontends.http.reserved import NotOffered
from postern.frontends.http.settings import HttpSettings
from postern.frontends.http.site import ANYBODY, Access, Mount, Site
from postern.frontends.http.whoami import WhoAmI
from postern.frontends.oab.application import OfflineAddressBook
from postern.model.refusal import Refusal
from postern.net.stream import Stream
from postern.roles.exchange import Exchange, Mail
from postern.roles.gauges import ServerMetrics
from postern.roles.pages import Pages
from postern.roles.parts import OFFLINE_DIRECTORY, Parts
from postern.roles.workers import worker_count
from postern.services.address_book import AddressBook
from postern.services.authentication import Authentication
from postern.services.autodiscovery import Autodiscovery
from postern.services.calendar.publications import Publications
from postern.services.certificates import CertificateSignIn
from postern.services.enrolment import OwnEnrolment
from postern.services.offline_books import OfflineBooks
from postern.services.websessions import WebSessions, WebSessionSettings
from postern.telemetry import log

ACME_DIRECTORY = "acme-challenge"
"""Where an order for a certificate puts its answers."""
ENDINGS_FILE = "sessions.db"
AUTOCONFIG = ("/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml")
"""Where Mozilla's programs ask: on the domain itself, and on autoconfig.DOMAIN."""
EWS_MECHANISMS = frozenset({"basic", "digest", "negotiate", "ntlm", "bearer", "certificate"})


def prepare() -> None:
    """What every worker would make for itself otherwise."""
    rendering.prepare()


class Web:
    """What a worker's HTTP listeners share."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        authentication: Authentication,
        metrics: ServerMetrics,
        mail: Mail | None = None,
    ) -> None:
        """Without `mail` there are no virtual directories that open mailboxes."""
        self._mail = mail
        self._exchange: Exchange | None = None
        self._settings = settings
        self._parts = parts
        self._authentication = authentication
        self._metrics = metrics
        self._log = log.logger(part="http")
        own = settings.http
        self._sessions = WebSessions(
            parts.directory,
            Endings(parts.data / ENDINGS_FILE),
            parts.clock,
            parts.entropy,
            WebSessionSettings(own.session_idle_s, own.private_idle_s, own.session_s),
        )
        hostname = settings.server.hostname.lower()
        # people on the same network leave the domain out
        self._names = frozenset({hostname, hostname.partition(".")[0], *(name.lower() for name in own.names)})

    def handler(self, listening: Listening, https_port: int) -> Callable[[Stream], Awaitable[None]]:
        """A listener's connections."""
        settings = self._listener(listening, https_port)
        gate = self._gate(settings) if listening.path.implicit_tls else None
        mounts = self._mounts(settings) if gate is not None else self._clear_mounts(settings)
        # without TLS any name may be asked for: one is being certified, perhaps, and nothing but redirects goes out
        served = self.serves if gate is not None else None
        shared = Shared(settings, Site(mounts), gate, self._parts.clock, self._log, served=served, counted=self._count)
        return HttpFrontend(shared).handle

    async def stop(self) -> None:
        """End what goes on without a request."""
        if self._exchange is not None:
            await self._exchange.stop()

    def close(self) -> None:
        """Release the files."""
        self._sessions.close()

    async def serves(self, host: str, local: str) -> bool:
        """Whether a client may ask for a host: our name, one in an accepted domain, or the address it came to."""
        if host in self._names or "*" in self._names:
            return True
        if _is_address(host):
            return host == local
        if host == "localhost":
            return ipaddress.ip_address(local).is_loopback
        while "." in host:
            try:
                if await self._parts.directory.domain(host) is not None:
                    return True
            except Refusal:
                return False
            host = host.partition(".")[2]
        return False

    def _count(self, status: int) -> None:
        counter = self._metrics.http_answers.get(status // 100)
        if counter is not None:
            counter.add()

    def _listener(self, listening: Listening, https_port: int) -> HttpSettings:
        own, server = self._settings.http, self._settings.server
        return HttpSettings(
            listener=listening.path.id,
            hostname=server.hostname,
            mechanisms=listening.mechanisms,
            realm=own.realm or server.hostname,
            cleartext_login=self._settings.authentication.cleartext_login,
            https_port=https_port,
            hsts_s=own.hsts_s,
            head_bytes=own.max_head_bytes,
            body_bytes=own.max_body_bytes,
            head_timeout_s=own.head_timeout_s,
            body_timeout_s=own.body_timeout_s,
            idle_timeout_s=own.idle_timeout_s,
            max_connections_per_address=own.max_connections_per_address,
            user_concurrency=own.user_concurrency,
            user_per_minute=own.user_per_minute,
        )

    def _gate(self, settings: HttpSettings) -> Gate:
        parts, authentication = self._parts, self._authentication
        certificates = CertificateSignIn(parts.directory, authentication)
        return Gate(
            settings,
            authentication,
            parts.clock,
            self._log,
            sessions=self._sessions if settings.offers("forms") else None,
            digests=Digests(authentication, parts.clock, parts.entropy, settings.realm)
            if settings.offers("digest")
            else None,
            certificates=certificates.verify if settings.offers("certificate") else None,
        )

    def _mounts(self, settings: HttpSettings) -> list[Mount]:
        mounts = self._pages(settings)
        built = self._built()
        mounts += [Mount(name, NotOffered(name), Access()) for name in RESERVED if name not in built]
        busy = {"/EWS": ews_busy}
        mounts += [
            Mount(name, application, access, busy=busy.get(name)) for name, (application, access) in built.items()
        ]
        return mounts + self._discovery(frozenset(built))

    def _built(self) -> dict[str, tuple[Application, Access]]:
        """Virtual directories with somebody behind them, by the names that Autodiscover knows them by."""
        built: dict[str, tuple[Application, Access]] = {}
        if self._mail is not None:
            # no form: programs sign in with the request
            built["/EWS"] = (self._ews(self._mail), Access(mechanisms=EWS_MECHANISMS))
        built["/calendar"] = (self._calendars(), ANYBODY)
        if self._settings.address_book.offline_every_s:
            directory, place = self._parts.directory, self._parts.data / OFFLINE_DIRECTORY
            books = OfflineBooks(directory, AddressBook(directory, self._parts.clock), place)
            built["/OAB"] = (OfflineAddressBook(books), Access(body_bytes=0))
        return built

    def _calendars(self) -> PublishedCalendars:
        parts = self._parts
        return PublishedCalendars(Publications(parts.store, parts.directory, parts.clock))

    def _discovery(self, offered: frozenset[str]) -> list[Mount]:
        """How clients are told of all the rest."""
        site = published(self._settings, offered)
        people = Autodiscovery(self._parts.directory)
        application = Autodiscover(site, people, self._parts.clock, self._log)
        autoconfig = Autoconfig(site, people.ours, self._default_domain)
        small = Access(body_bytes=BODY_BYTES)
        return [
            Mount("/autodiscover", application, small),
            Mount("/autodiscover/autodiscover.json", JsonAutodiscover(site, people.ours), ANYBODY),
            *(Mount(path, autoconfig, ANYBODY, exact=True) for path in AUTOCONFIG),
            Mount("/profile.mobileconfig", Profile(site, people), Access(browser=True, body_bytes=0), exact=True),
        ]

    async def _default_domain(self) -> str:
        domains = await self._parts.directory.domains()
        return domains[0].name if domains else ""

    def _pages(self, settings: HttpSettings) -> list[Mount]:
        forms = settings.offers("forms")
        pages = Pages(self._metrics, worker_count(self._settings) + int(self._settings.server.background))
        mounts = [
            Mount("", Answer(303, fields=((b"location", b"/whoami"),)), ANYBODY, exact=True),
            Mount("/health", pages.short_health, ANYBODY, exact=True),
            Mount(
                "/whoami",
                WhoAmI(self._sessions if forms else None, settings.hostname),
                Access(browser=True, body_bytes=0),
                exact=True,
            ),
        ]
        if forms:
            application = Forms(self._authentication, self._sessions, self._parts.entropy, settings.hostname, self._log)
            mounts.append(Mount("/auth", application, Access(anonymous=True, mechanisms=frozenset({"forms"}))))
            enrolment = OwnEnrolment(self._parts.directory, self._authentication, settings.hostname)
            codes = OneTimeCodes(enrolment, self._sessions, settings.hostname, self._log)
            by_form = Access(browser=True, mechanisms=frozenset({"forms"}), body_bytes=FORM_BYTES)
            mounts.append(Mount(PLACE, codes, by_form))
        return mounts

    def _ews(self, mail: Mail) -> Ews:
        if self._exchange is None:
            self._exchange = Exchange(self._settings, self._parts, mail)
        return Ews(self._exchange.services, self._settings.http.max_body_bytes)

    def _clear_mounts(self, settings: HttpSettings) -> list[Mount]:
        """Without TLS."""
        mounts = [
            Mount("/.well-known/acme-challenge", AcmeChallenges(self._parts.data / ACME_DIRECTORY), ANYBODY),
            Mount("/calendar", self._calendars(), ANYBODY),
        ]
        if settings.https_port:
            mounts.append(Mount("", ToHttps(settings.hostname, settings.https_port, self.serves), ANYBODY))
            # a name that clients make up of the domain is in no certificate, perhaps: ours is
            ours = ToHttps(settings.hostname, settings.https_port, self.serves, always_ours=True)
            mounts += [Mount(path, ours, ANYBODY) for path in ("/autodiscover", *AUTOCONFIG)]
        return mounts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
