"""postern.toml as frozen values. Every key has its meaning, unit, default and bounds here and nowhere else.

The reference (`docs/settings.md`) and the messages about bad values are made from the annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from postern.config.certificates import Acme, Partner, Tls
from postern.config.connectors import DEFAULT_CONNECTORS as DEFAULT_CONNECTORS
from postern.config.connectors import Dkim as Dkim
from postern.config.connectors import ReceiveConnector as ReceiveConnector
from postern.config.connectors import SendConnector as SendConnector
from postern.config.mechanisms import Kerberos, Ntlm, Oidc
from postern.config.table import Limit, Seconds, Table

_PORT = r"\*|6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}"
_PLACE = rf"^https?://([A-Za-z0-9.-]+|\[::1\])(:({_PORT}))?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$"
"""A URL without a query, with `*` for any port."""
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - a mail server listens to the world


class Server(Table, frozen=True, kw_only=True):
    """`[server]`: this machine."""

    hostname: Annotated[str, Meta(min_length=1, max_length=253, description="name in banners, HELO and Received")] = (
        "localhost"
    )
    data: Annotated[str, Meta(min_length=1, description="directory that holds all state")] = "/var/lib/postern"
    workers: Annotated[int, Meta(ge=0, le=256, description="worker processes; 0 is one per processor")] = 0
    background: Annotated[bool, Meta(description="run the background process (index, expiry, garbage collection)")] = (
        True
    )
    stop_s: Annotated[
        int, Meta(ge=1, le=3600, description="seconds that connections get to finish when the server stops")
    ] = 20
    language: Annotated[Literal["en", "ru"], Meta(description="language of generated messages such as DSNs")] = "en"


class Listener(Table, frozen=True, kw_only=True):
    """`[listen.ID]`: one data path of the catalogue, for example `[listen.imaps]`."""

    enabled: Annotated[bool, Meta(description="open this listener")] = True
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 is the catalogue's")] = 0
    addresses: Annotated[tuple[str, ...], Meta(description="IP addresses to listen on; empty: those of [network]")] = ()
    mechanisms: Annotated[
        tuple[
            Literal[
                "PLAIN",
                "LOGIN",
                "SCRAM-SHA-256",
                "SCRAM-SHA-256-PLUS",
                "GSSAPI",
                "GSS-SPNEGO",
                "NTLM",
                "OAUTHBEARER",
                "XOAUTH2",
                "EXTERNAL",
                "Negotiate",
                "Bearer",
                "Digest",
                "Basic",
                "forms",
                "certificate",
            ],
            ...,
        ]
        | None,
        Meta(description="mechanisms offered; not set: the catalogue's, and those that have settings"),
    ] = None


class Network(Table, frozen=True, kw_only=True):
    """`[network]`: addresses and DNS."""

    addresses: Annotated[tuple[str, ...], Meta(description="IP addresses to listen on")] = EVERYWHERE
    source_address: Annotated[
        str, Meta(description="IP address that outgoing mail leaves from, to hosts of the same IP version; empty: any")
    ] = ""
    nameservers: Annotated[
        tuple[str, ...], Meta(description="IP addresses of DNS servers; empty: those of /etc/resolv.conf")
    ] = ()
    nameserver_port: Annotated[int, Meta(ge=1, le=65535, description="UDP and TCP port of the DNS servers")] = 53


class Smtp(Table, frozen=True, kw_only=True):
    """`[smtp]`: limits of the SMTP listeners."""

    max_message_bytes: Annotated[int, Meta(ge=65536, description="largest message, octets (SIZE)")] = 52_428_800
    max_recipients: Annotated[int, Meta(ge=100, description="recipients a transaction (RFC 5321 4.5.3.1.8)")] = 1000
    max_messages: Annotated[Limit, Meta(description="messages a connection; 0 is no limit")] = 0
    max_received: Annotated[int, Meta(ge=10, le=200, description="Received fields that mean a loop")] = 50
    max_connections: Annotated[int, Meta(ge=1, description="connections to each worker")] = 5000
    max_connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            description="connections from one address to each worker (IPv6 /64: ten times as many); 0: no limit",
        ),
    ] = 200
    command_timeout_s: Annotated[Seconds, Meta(description="seconds to wait for a command (RFC 5321 4.5.3.2.7)")] = 300
    data_timeout_s: Annotated[Seconds, Meta(description="seconds to wait for the next octets of a message")] = 600
    bare_newlines: Annotated[
        Literal["refuse", "fix"], Meta(description="bare CR or LF in a message: refused, or made CRLF")
    ] = "refuse"


class Imap(Table, frozen=True, kw_only=True):
    """`[imap]`: limits of IMAP4."""

    login_timeout_s: Annotated[Seconds, Meta(description="seconds a client may take to log in")] = 120
    idle_timeout_s: Annotated[
        int, Meta(ge=1800, le=86400, description="seconds of silence before a session ends (RFC 9051 5.4)")
    ] = 1860
    max_append_bytes: Annotated[int, Meta(ge=65536, description="largest message for APPEND, octets")] = 52_428_800
    disabled_capabilities: Annotated[
        tuple[str, ...], Meta(description="capabilities that nobody is offered, to work round a broken client")
    ] = ()
    disabled_for: Annotated[
        dict[str, tuple[str, ...]], Meta(description="the same for single accounts: address = [capabilities]")
    ] = msgspec.field(default_factory=dict)
    max_connections: Annotated[int, Meta(ge=1, description="connections to each worker")] = 20000


class Pop3(Table, frozen=True, kw_only=True):
    """`[pop3]`: limits of POP3."""

    login_timeout_s: Annotated[Seconds, Meta(description="seconds a client may take to log in")] = 120
    idle_timeout_s: Annotated[
        int, Meta(ge=600, le=86400, description="seconds of silence before a session ends (RFC 1939 3)")
    ] = 900
    login_delay_s: Annotated[
        int, Meta(ge=0, le=3600, description="seconds a user has to leave between two sessions, 0: none (RFC 2449 6.5)")
    ] = 0
    expire_days: Annotated[
        int, Meta(ge=0, description="days that mail is kept, as clients are told, 0: for ever (RFC 2449 6.7)")
    ] = 0
    max_connections: Annotated[int, Meta(ge=1, description="connections to each worker")] = 5000


class ManageSieve(Table, frozen=True, kw_only=True):
    """`[managesieve]`: limits of editing Sieve scripts."""

    login_timeout_s: Annotated[Seconds, Meta(description="seconds a client may take to log in")] = 120
    idle_timeout_s: Annotated[
        int, Meta(ge=1800, le=86400, description="seconds of silence before a session ends (RFC 5804 1.2)")
    ] = 1800
    max_connections: Annotated[int, Meta(ge=1, description="connections to each worker")] = 1000


class Ldap(Table, frozen=True, kw_only=True):
    """`[ldap]`: limits of the address book over LDAP."""

    login_timeout_s: Annotated[Seconds, Meta(description="seconds a client may stay without signing in")] = 60
    idle_timeout_s: Annotated[int, Meta(ge=60, le=86400, description="seconds of silence before a session ends")] = 900
    max_connections: Annotated[int, Meta(ge=1, description="connections to each worker")] = 5000
    max_entries: Annotated[int, Meta(ge=10, le=10_000, description="entries of one search, or of one page")] = 1000
    time_limit_s: Annotated[int, Meta(ge=1, le=600, description="seconds a search may take")] = 15


class AddressBook(Table, frozen=True, kw_only=True):
    """`[address_book]`: the offline address book."""

    offline_every_s: Annotated[
        Limit, Meta(description="seconds between looks whether the offline address book has to be made anew; 0 is off")
    ] = 900


class Http(Table, frozen=True, kw_only=True):
    """`[http]`: the web host."""

    names: Annotated[
        tuple[str, ...],
        Meta(description="further names clients ask by, besides those in accepted domains; `*` takes any"),
    ] = ()
    realm: Annotated[
        str, Meta(description="name shown where a client asks for a password, part of Digest keys; empty: the hostname")
    ] = ""
    client_ca: Annotated[
        str,
        Meta(description="PEM file of the authorities whose client certificates sign in; empty: none are asked for"),
    ] = ""
    hsts_s: Annotated[
        int, Meta(ge=0, description="seconds that browsers remember to use TLS only (RFC 6797); 0 is not sent")
    ] = 31_536_000
    session_idle_s: Annotated[Seconds, Meta(description="seconds without a request that end a browser's session")] = 900
    private_idle_s: Annotated[
        Seconds, Meta(description="the same where the user says that the computer is private")
    ] = 28_800
    session_s: Annotated[Seconds, Meta(description="seconds after which a browser has to sign in again")] = 86_400
    max_head_bytes: Annotated[int, Meta(ge=8192, le=1_048_576, description="largest head of a request, octets")] = 65536
    max_body_bytes: Annotated[int, Meta(ge=65536, description="largest body of a request, octets")] = 67_108_864
    head_timeout_s: Annotated[Seconds, Meta(description="seconds for the whole head of a request")] = 20
    body_timeout_s: Annotated[
        Seconds, Meta(description="seconds for the beginning of a body; then 1 more for each 4096 octets")
    ] = 60
    idle_timeout_s: Annotated[Seconds, Meta(description="seconds between two requests of a connection")] = 120
    max_connections: Annotated[int, Meta(ge=1, description="connections to each worker")] = 20000
    max_connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            description="connections from one address to each worker (IPv6 /64: ten times as many); 0: no limit",
        ),
    ] = 200
    user_concurrency: Annotated[
        Limit, Meta(description="requests of one account at once in each worker; 0 is no limit")
    ] = 50
    user_per_minute: Annotated[
        Limit, Meta(description="requests of one account in a minute in each worker; 0 is no limit")
    ] = 6000


class Ews(Table, frozen=True, kw_only=True):
    """`[ews]`: Exchange Web Services."""

    push_urls: Annotated[
        tuple[Annotated[str, Meta(pattern=_PLACE)], ...],
        Meta(
            description="places that push notifications may be sent to, and what is below them,"
            " as `https://host/path/`; `http://host:*/` is any port; none: no client is called"
        ),
    ] = ()


class Authentication(Table, frozen=True, kw_only=True):
    """`[authentication]`: passwords."""

    cleartext_login: Annotated[
        Literal["never", "loopback"],
        Meta(description="passwords without TLS: never, or from this machine (a web mail or proxy on it)"),
    ] = "never"

    client_ca: Annotated[
        str,
        Meta(description="PEM file of authorities whose client certificates sign in to mail (EXTERNAL); empty: none"),
    ] = ""
    front_end_certificates: Annotated[
        bool,
        Meta(description="mail listeners take certificates of front ends, which act for users (`postern server add`)"),
    ] = False
    require_channel_binding: Annotated[
        bool, Meta(description="refuse Kerberos and NTLM clients that bind to no TLS connection; wrong bindings always")
    ] = False
    domains: Annotated[
        dict[str, str],
        Meta(description="NetBIOS name = mail domain of its users, who may then sign in as NAME\\user"),
    ] = msgspec.field(default_factory=dict)
    cache_s: Annotated[float, Meta(ge=0, le=3600, description="seconds a right password is remembered; 0 is off")] = (
        60.0
    )
    failure_window_s: Annotated[Seconds, Meta(description="seconds that a failed login counts")] = 900
    failures_per_address: Annotated[
        Limit, Meta(description="different failures from one address (IPv6: a /64) before it must wait; 0 is no limit")
    ] = 30
    failures_per_account_and_address: Annotated[
        Limit, Meta(description="the same against one account from one address; 0 is no limit")
    ] = 10
    failures_per_account: Annotated[
        Limit,
        Meta(description="the same against one account before it is closed to places unknown to it; 0 is no limit"),
    ] = 60
    codes_per_account: Annotated[
        Limit, Meta(description="wrong one-time codes before only recovery codes help an account; 0 is no limit")
    ] = 10
    lock_s: Annotated[Seconds, Meta(description="seconds of a first lock; each further one lasts twice as long")] = 900
    lock_max_s: Annotated[Seconds, Meta(description="seconds of the longest lock")] = 14_400
    failure_delay_s: Annotated[
        float, Meta(ge=0, le=60, description="delay of the first refusal; doubles with each failure")
    ] = 0.5
    failure_delay_max_s: Annotated[float, Meta(ge=0, le=60, description="longest delay")] = 8.0
    threads: Annotated[int, Meta(ge=1, le=64, description="passwords each worker verifies at the same time")] = 2
    max_waiting: Annotated[
        int, Meta(ge=4, le=10_000, description="passwords that wait in each worker; above it: try again later")
    ] = 100
    keep_digest: Annotated[
        bool, Meta(description="keep of new passwords what HTTP Digest needs: as good as the password for this realm")
    ] = False
    upgrade_hashes: Annotated[
        bool, Meta(description="hashes of other schemes, from an import, become argon2id at the first sign-in")
    ] = True
    argon2_passes: Annotated[int, Meta(ge=1, le=100, description="argon2id passes of new passwords")] = 3
    argon2_memory_kib: Annotated[int, Meta(ge=1024, description="argon2id memory of new passwords, KiB")] = 65536
    scram_iterations: Annotated[int, Meta(ge=4096, description="PBKDF2 rounds of new SCRAM-SHA-256 keys")] = 100_000


class Store(Table, frozen=True, kw_only=True):
    """`[store]`: mailboxes and bodies."""

    segment_bytes: Annotated[int, Meta(ge=1_048_576, description="size of a journal segment, octets")] = 67_108_864
    spool_bytes: Annotated[int, Meta(ge=65536, description="bodies above this get a file of their own, octets")] = (
        1_048_576
    )
    warn_bytes: Annotated[Limit, Meta(description="size at which a new mailbox is warned, octets; 0 is never")] = 0
    no_send_bytes: Annotated[
        Limit, Meta(description="size at which a new mailbox may not send, octets; 0 is never")
    ] = 0
    no_receive_bytes: Annotated[
        Limit, Meta(description="size at which a new mailbox receives nothing, octets; 0 is never")
    ] = 0
    max_messages: Annotated[
        int, Meta(ge=0, description="items that a mailbox may hold, all folders together; 0 is no limit")
    ] = 0
    recoverable_days: Annotated[int, Meta(ge=0, le=3650, description="days that deleted items can be recovered")] = 14
    dead_bytes_days: Annotated[int, Meta(ge=0, le=365, description="days until bodies nothing refers to are gone")] = 7


class Search(Table, frozen=True, kw_only=True):
    """`[search]`: the index of texts beside each mailbox."""

    index: Annotated[
        Literal["searched", "all", "off"],
        Meta(description="mailboxes whose new mail is indexed in the background: those once searched, all, none"),
    ] = "searched"


class Queue(Table, frozen=True, kw_only=True):
    """`[queue]`: mail that waits for its next hop."""

    retry_s: Annotated[
        tuple[Seconds, ...], Meta(min_length=1, description="seconds between attempts; the last one repeats")
    ] = (60, 300, 900, 1800, 3600, 7200)
    delay_notice_s: Annotated[int, Meta(ge=60, description="seconds until the sender is told of a delay")] = 14400
    expire_s: Annotated[int, Meta(ge=300, description="seconds that the server tries until a message is returned")] = (
        432_000
    )
    max_connections_per_host: Annotated[int, Meta(ge=1, description="connections to one next hop, by each worker")] = 4
    connection_idle_s: Annotated[int, Meta(ge=0, le=300, description="seconds an idle connection is kept")] = 5


class Pressure(Table, frozen=True, kw_only=True):
    """`[pressure]`: when to take no more mail for a while."""

    max_queue: Annotated[int, Meta(ge=100, description="messages in the queue")] = 100_000
    min_free_bytes: Annotated[int, Meta(ge=0, description="free octets on the data directory's disk")] = 536_870_912
    max_loop_lag_s: Annotated[float, Meta(ge=0.05, le=60, description="seconds the event loop may be late")] = 2.0


class Log(Table, frozen=True, kw_only=True):
    """`[log]`: what goes to standard error and the tracking log."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="least level written")] = "info"
    tracking_days: Annotated[int, Meta(ge=1, le=3650, description="days that message tracking is kept")] = 30
    signin_days: Annotated[int, Meta(ge=1, le=3650, description="days that the log of sign-ins is kept")] = 90


class Settings(Table, frozen=True, kw_only=True):
    """The whole file."""

    server: Server = Server()
    network: Network = Network()
    tls: Tls = Tls()
    acme: Acme = Acme()
    partner: tuple[Partner, ...] = ()
    listen: Annotated[dict[str, Listener], Meta(description="listeners by data path id")] = msgspec.field(
        default_factory=dict
    )
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    pop3: Pop3 = Pop3()
    managesieve: ManageSieve = ManageSieve()
    ldap: Ldap = Ldap()
    address_book: AddressBook = AddressBook()
    http: Http = Http()
    ews: Ews = Ews()
    authentication: Authentication = Authentication()
    kerberos: Kerberos = Kerberos()
    ntlm: Ntlm = Ntlm()
    oidc: tuple[Oidc, ...] = ()
    store: Store = Store()
    search: Search = Search()
    queue: Queue = Queue()
    pressure: Pressure = Pressure()
    receive_connector: tuple[ReceiveConnector, ...] = DEFAULT_CONNECTORS
    send_connector: tuple[SendConnector, ...] = (SendConnector(name="internet"),)
    dkim: tuple[Dkim, ...] = ()
    log: Log = Log()

    @property
    def data_dir(self) -> Path:
        """`server.data`."""
        return Path(self.server.data)

    @property
    def certificate(self) -> Path:
        """PEM chain of the listeners."""
        return Path(self.tls.certificate) if self.tls.certificate else self.data_dir / "tls" / "certificate.pem"

    @property
    def key(self) -> Path:
        """PEM private key of the listeners."""
        return Path(self.tls.key) if self.tls.key else self.data_dir / "tls" / "key.pem"

    @property
    def client_certificate(self) -> Path:
        """PEM chain that partners see."""
        return Path(self.tls.client_certificate) if self.tls.client_certificate else self.certificate

    @property
    def client_key(self) -> Path:
        """Its private key."""
        return Path(self.tls.client_key) if self.tls.client_certificate else self.key
