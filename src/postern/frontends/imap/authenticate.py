"""CAPABILITY, STARTTLS, AUTHENTICATE, LOGIN, ENABLE, ID, LOGOUT."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.selected import SelectedFolder
from postern.frontends.signin import SignIn, channel_binding, clear_text_allowed, note, shows_certificate
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.imap.capabilities import AFTER, BEFORE, ENABLED, off, offered
from postern.protocols.imap.commands.connection import Authenticate, Login
from postern.protocols.imap.session import State
from postern.protocols.sasl import encoding, server

if TYPE_CHECKING:
    from postern.services.authentication import Principal

PROTOCOL = "imap"


def password_allowed(connection: Connection) -> bool:
    """Whether a password may cross this connection."""
    return clear_text_allowed(connection.stream, connection.shared.settings.cleartext_login)


def mechanisms(connection: Connection) -> tuple[str, ...]:
    """SASL mechanisms offered on this connection now."""
    return server.offered(
        connection.shared.settings.mechanisms,
        clear_text=password_allowed(connection),
        binding=channel_binding(connection.stream),
        certificate=shows_certificate(connection.stream),
    )


def capabilities(connection: Connection) -> bytes:
    """What is offered in this state."""
    limit, without = connection.shared.limits.append_bytes, frozenset(connection.without)
    if connection.session.state is not State.NOT_AUTHENTICATED:
        return _listed(limit, without, True)
    return _listed(
        limit,
        without,
        False,
        connection.stream.tls is None and connection.shared.tls() is not None,
        password_allowed(connection),
        mechanisms(connection),
    )


@lru_cache(64)
def _listed(
    limit: int,
    without: frozenset[bytes],
    signed_in: bool,
    starttls: bool = False,
    passwords: bool = True,
    mechanisms: tuple[str, ...] = (),
) -> bytes:
    """Asked twice a sign-in, and nearly always the same."""
    names = offered(BEFORE, without, limit)
    if signed_in:
        names += offered(AFTER, without, limit)
    if starttls:
        names.append(b"STARTTLS")
    if not passwords:
        names.append(b"LOGINDISABLED")
    names += [b"AUTH=" + name.encode("ascii") for name in mechanisms]
    return b" ".join(names)


async def capability(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.1.1."""
    connection.out.append(b"* CAPABILITY %b\r\n" % capabilities(connection))
    return b"OK CAPABILITY completed"


async def client_id(connection: Connection, _fields: dict[str, str], _uid: bool) -> bytes:
    """RFC 2971. The version stays inside: it helps nobody but an attacker."""
    connection.out.append(b'* ID ("name" "Postern")\r\n')
    return b"OK ID completed"


async def enable(connection: Connection, names: tuple[bytes, ...], _uid: bool) -> bytes:
    """RFC 5161; names that cannot be enabled are passed over."""
    found = [each for name in names if connection.offers(name) for each in ENABLED.get(name, ())]
    on = set(found)
    if b"CONDSTORE" in on:
        enable_condstore(connection)
    connection.qresync |= b"QRESYNC" in on
    connection.uid_only |= b"UIDONLY" in on
    connection.rev2 |= b"IMAP4rev2" in on
    connection.utf8 |= bool(on & {b"IMAP4rev2", b"UTF8=ACCEPT"})
    if connection.selected is not None:
        modes(connection, connection.selected)
    connection.out.append(b"* ENABLED%b\r\n" % b"".join(b" " + name for name in dict.fromkeys(found)))
    return b"OK ENABLE completed"


def modes(connection: Connection, selected: SelectedFolder) -> None:
    """What ENABLE has switched on, for the selected folder."""
    selected.condstore = connection.condstore
    selected.uid_only = connection.uid_only
    selected.vanishing = connection.qresync or connection.uid_only
    selected.recent_told = not connection.rev2


def enable_condstore(connection: Connection) -> None:
    """From now on MODSEQ comes with every flag change (RFC 7162 3.1)."""
    if connection.condstore:
        return
    connection.condstore = True
    selected = connection.selected
    if selected is not None:
        selected.condstore = True
        connection.out.append(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % max(1, selected.since))


async def unauthenticate(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 8437: as if nobody had signed in; TLS and compression stay."""
    connection.deselect()
    if connection.watch is not None:
        connection.watch.end(connection)
    connection.release()
    connection.release = bool
    connection.home = connection.principal = None
    connection.others = {}
    connection.visited = {}
    connection.user = ""
    connection.condstore = connection.qresync = connection.uid_only = connection.utf8 = connection.rev2 = False
    connection.without = connection.shared.without
    connection.session.minus = off(b"LITERAL+", connection.without)
    connection.session.state = State.NOT_AUTHENTICATED
    connection.timeout_s = connection.shared.settings.login_timeout_s
    return b"OK [CAPABILITY %b] UNAUTHENTICATE completed" % capabilities(connection)


async def logout(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.1.3."""
    connection.out.append(b"* BYE Logging out\r\n")
    connection.deselect()
    connection.session.state = State.LOGOUT
    return b"OK LOGOUT completed"


async def start_tls(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.2.1. The handshake follows the tagged OK."""
    context = connection.shared.tls()
    if context is None or connection.stream.tls is not None:
        raise ProtocolViolation("TLS is active already" if context is not None else "STARTTLS is not offered")
    if connection.session.clear():
        # sent before TLS began, by whomever: nothing of it may be carried out under TLS (CVE-2021-33515)
        raise ProtocolViolation("nothing may follow STARTTLS before TLS is active")

    async def handshake() -> None:
        connection.session.clear()
        await connection.stream.start_tls(context)

    connection.afterwards = handshake
    return b"OK Begin TLS negotiation"


async def login(connection: Connection, arguments: Login, _uid: bool) -> bytes:
    """RFC 9051 6.2.3."""
    if not password_allowed(connection):
        raise Refusal(Reason.ENCRYPTION_REQUIRED)
    await connection.flush()
    note(connection.stream, PROTOCOL, "LOGIN command")
    principal = await connection.shared.authentication.verify_password(
        arguments.user, arguments.password, connection.stream.peer[0], PROTOCOL
    )
    return await _admitted(connection, principal, b"LOGIN")


async def authenticate(connection: Connection, arguments: Authenticate, _uid: bool) -> bytes:
    """RFC 9051 6.2.2, RFC 4959."""
    name = arguments.mechanism
    known = server.MECHANISMS.get(name)
    if known is None or name not in connection.shared.settings.mechanisms:
        return b"NO [CANNOT] Mechanism not supported"
    if known.clear_text and not password_allowed(connection):
        raise Refusal(Reason.ENCRYPTION_REQUIRED)
    shared = connection.shared
    sign_in = SignIn(shared.authentication, shared.entropy, connection.stream, PROTOCOL)
    first = None if arguments.initial is None else encoding.decode_initial(arguments.initial)
    step = await sign_in.begin(name, first, mechanisms(connection))
    while isinstance(step, bytes):
        step = await sign_in.go_on(await _response(connection, step))
    return await _admitted(connection, step, b"AUTHENTICATE")


async def _response(connection: Connection, challenge: bytes) -> bytes:
    """Send a challenge, read the answer. Raises ProtocolViolation when the client gives up (`*`)."""
    connection.out.append(b"+ %b\r\n" % encoding.encode(challenge))
    line = await connection.line()
    if line is None:
        raise ConnectionResetError
    if line == b"*":
        raise ProtocolViolation("authentication cancelled")
    return encoding.decode(line)


async def _admitted(connection: Connection, principal: Principal, command: bytes) -> bytes:
    connection.release()
    connection.release = await connection.shared.authentication.watch(principal, "imap", connection.stream)
    await connection.shared.mailboxes.check(principal)
    connection.principal = principal
    connection.user = principal.address
    switched_off = connection.shared.settings.disabled_for.get(principal.address)
    if switched_off:
        connection.without = connection.shared.without | {name.upper().encode("ascii") for name in switched_off}
        connection.session.minus = off(b"LITERAL+", connection.without)
    connection.session.state = State.AUTHENTICATED
    connection.timeout_s = connection.shared.settings.idle_timeout_s
    return b"OK [CAPABILITY %b] %b completed" % (capabilities(connection), command)
