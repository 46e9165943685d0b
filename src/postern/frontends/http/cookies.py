"""The two cookies: a session's, and the one that a sign-in form is bound to before there is a session.

`__Host-` (RFC 6265bis 4.1.3.2): no other host, no other path and nothing without TLS can set or see them.
"""

from __future__ import annotations

SESSION = b"__Host-postern"
FORM = b"__Host-postern-form"
_ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=Lax"
FORM_S = 3600
"""How long a sign-in form may lie open."""


def session_cookie(token: str) -> bytes:
    """Set-Cookie of a session. It has no age: a browser that is closed forgets it, and the token has its own time."""
    return SESSION + f"={token}{_ATTRIBUTES}".encode()


def form_cookie(value: str) -> bytes:
    """Set-Cookie of a form."""
    return FORM + f"={value}{_ATTRIBUTES}; Max-Age={FORM_S}".encode()


def expired(name: bytes) -> bytes:
    """Set-Cookie that makes a browser forget one."""
    return name + f"={_ATTRIBUTES}; Max-Age=0".encode()
