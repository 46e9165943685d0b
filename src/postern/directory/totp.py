"""One-time codes by time (RFC 6238) and recovery codes for whoever lost the telephone."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote

from postern.model.ports import Entropy

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
"""RFC 4226 4 R6: 160 bits."""
TOLERANCE = 1
"""Steps before and after the present one that are taken too (RFC 6238 5.2: at most one for the delay)."""
RECOVERY_CODES = 10
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY_LENGTH = 12
"""59 bits."""


def code(secret: bytes, step: int, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """The code of a step (RFC 4226 5.3, RFC 6238 4)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), algorithm)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, given: str, now: float) -> int | None:
    """The step whose code that is, as late as possible; None: no code that is good now."""
    present = int(now // STEP_S)
    found = None
    for step in range(max(0, present - TOLERANCE), present + TOLERANCE + 1):
        # all are compared whatever the first one gave: the time taken says nothing
        if hmac.compare_digest(code(secret, step).encode(), given.encode(errors="surrogatepass")):
            found = step
    return found


def uri(secret: bytes, account: str, issuer: str) -> str:
    """`otpauth://totp/...`, as authenticator programs read it from a QR code."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    parameters = f"secret={in_letters(secret)}&issuer={quote(issuer, safe='')}&digits={DIGITS}&period={STEP_S}"
    return f"otpauth://totp/{label}?{parameters}"


def in_letters(secret: bytes) -> str:
    """Base32 without padding, for those who type it."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def clean(given: str) -> str:
    """What somebody typed, without spaces and hyphens, in small letters."""
    return "".join(given.split()).replace("-", "").lower()


def is_code(given: str) -> bool:
    """Whether that looks like a code and not like a recovery code."""
    return len(given) == DIGITS and given.isascii() and given.isdigit()


def new_recovery_code(entropy: Entropy) -> str:
    """`abcd-efgh-2345`."""
    letters = "".join(_RECOVERY_ALPHABET[entropy.below(len(_RECOVERY_ALPHABET))] for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[i : i + 4] for i in range(0, _RECOVERY_LENGTH, 4))


def recovery_digest(key: bytes, account: int, given: str) -> bytes:
    """What is stored of a recovery code; see `app_passwords` for why no slow hash is needed."""
    return hmac.digest(key, b"recovery\0%d\0%b" % (account, clean(given).encode(errors="surrogatepass")), "sha256")
