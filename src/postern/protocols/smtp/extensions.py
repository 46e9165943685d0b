"""What the server announces in its answer to EHLO (RFC 5321 4.1.1.1)."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from postern.protocols.smtp.reply import Reply


class Capabilities(msgspec.Struct, frozen=True):
    """What is possible on a connection in its present state: one before TLS, one after it."""

    hostname: str
    size_limit_bytes: int
    recipients_max: int
    messages_max: int = 0
    """Transactions on one connection; 0 is unlimited and not announced."""
    starttls: bool = False
    tls_required: bool = False
    """Nothing but EHLO, NOOP, RSET, QUIT and STARTTLS before TLS (RFC 3207 4)."""
    mechanisms: tuple[str, ...] = ()
    """Offered now."""
    mechanisms_after_tls: tuple[str, ...] = ()
    """Known but refused before TLS with 538."""
    between_servers: tuple[str, ...] = ()
    """X-EXPS mechanisms, by which servers of the organisation sign in; announced."""
    knows_servers: bool = False
    """X-EXPS is a command, whether or not it is possible now."""
    auth_required: bool = False
    binary: bool = True
    """CHUNKING and BINARYMIME."""


@lru_cache(maxsize=64)
def hello(capabilities: Capabilities, *, authenticated: bool) -> Reply:
    """The multi-line answer to EHLO."""
    lines = [
        capabilities.hostname,
        "PIPELINING",  # RFC 2920
        f"SIZE {capabilities.size_limit_bytes}",  # RFC 1870
        "ENHANCEDSTATUSCODES",  # RFC 2034
        "8BITMIME",  # RFC 6152
        "SMTPUTF8",  # RFC 6531
        "DSN",  # RFC 3461
    ]
    if capabilities.binary:
        lines += ["CHUNKING", "BINARYMIME"]  # RFC 3030
    if capabilities.starttls:
        lines.append("STARTTLS")  # RFC 3207
    if capabilities.mechanisms and not authenticated:
        lines.append("AUTH " + " ".join(capabilities.mechanisms))  # RFC 4954
    if capabilities.between_servers and not authenticated:
        lines.append("X-EXPS " + " ".join(capabilities.between_servers))  # as Exchange announces it
    limits = f"LIMITS RCPTMAX={capabilities.recipients_max}"  # RFC 9422
    if capabilities.messages_max:
        limits += f" MAILMAX={capabilities.messages_max}"
    lines.append(limits)
    return Reply(250, "", "\n".join(lines))


@lru_cache(maxsize=64)
def plain_hello(hostname: str) -> Reply:
    """The answer to HELO."""
    return Reply(250, "", hostname)
