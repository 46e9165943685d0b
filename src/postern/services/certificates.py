"""Sign-in by client certificate: whose account a certificate that TLS has verified is.

The user principal name (MS-WCCE: an otherName of the subject alternative name) counts first, then mail addresses. The
subject's own name counts for nothing: authorities put there what they like.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from postern.directory.interface import Directory
from postern.model.refusal import Reason, Refusal
from postern.services.attempts import Proof
from postern.services.authentication import Authentication
from postern.services.principal import Principal

UPN = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_UTF8_STRING = 0x0C
_SHORT = 0x80
_MAX_REMEMBERED = 4096


def names_in(der: bytes) -> tuple[str, ...]:
    """Names under which a certificate's owner may have an account, best first. Raises ValueError."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    principals = [
        other.value[2:].decode()
        for other in names
        if isinstance(other, x509.OtherName)
        and other.type_id == UPN
        and len(other.value) > 2
        and other.value[0] == _UTF8_STRING
        and other.value[1] < _SHORT
        and other.value[1] == len(other.value) - 2
    ]
    return (*principals, *names.get_values_for_type(x509.RFC822Name))


class CertificateSignIn:
    """Whose certificate it is. One per worker."""

    def __init__(self, directory: Directory, authentication: Authentication) -> None:
        self._directory = directory
        self._authentication = authentication
        self._names: dict[bytes, tuple[str, ...]] = {}

    async def verify(self, der: bytes, protocol: str) -> Principal:
        """Who shows a certificate that was verified in the handshake, its purpose too.

        Raises Refusal: BAD_CREDENTIALS if it names nobody here, else as `Authentication.admit` does.
        """
        for name in self._names_in(der):
            account = await self._directory.login(name)
            if account is not None and not account.shared:
                return await self._authentication.admit(account, protocol, proof=Proof.INDEPENDENT)
        raise Refusal(Reason.BAD_CREDENTIALS, "the client's certificate names nobody here")

    def _names_in(self, der: bytes) -> tuple[str, ...]:
        names = self._names.get(der)
        if names is None:
            try:
                names = names_in(der)
            except ValueError as error:
                raise Refusal(Reason.BAD_CREDENTIALS, f"the client's certificate cannot be read: {error}") from error
            if len(self._names) >= _MAX_REMEMBERED:
                self._names.clear()
            self._names[der] = names
        return names
