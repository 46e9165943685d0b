"""Whether a certificate that a peer has shown goes back to an authority (RFC 5280 6)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from OpenSSL import crypto


def unproved(chain: Sequence[bytes], authority: str, now: datetime) -> str:
    """Why a chain (DER, the peer's own first) proves nothing; empty: it goes back to the authority.

    `authority` is a PEM file, or empty for those of the system. An intermediate there is as good as a root.
    """
    try:
        shown = [x509.load_der_x509_certificate(one) for one in chain]
        store = crypto.X509Store()
        if authority:
            for trusted in x509.load_pem_x509_certificates(Path(authority).read_bytes()):
                store.add_cert(crypto.X509.from_cryptography(trusted))
        else:
            paths = ssl.get_default_verify_paths()
            store.load_locations(paths.cafile, paths.capath)
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        store.set_time(now)
        own, *others = (crypto.X509.from_cryptography(one) for one in shown)
        crypto.X509StoreContext(store, own, others).verify_certificate()
    except crypto.X509StoreContextError as problem:
        return str(problem)
    except (OSError, ValueError, crypto.Error) as problem:
        return f"it cannot be verified: {problem}"
    return ""
