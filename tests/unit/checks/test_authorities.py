"""The authorities that a check trusts are read once."""

from __future__ import annotations

import os
import ssl

import trustme

from postern.checks.tls import trusting


def test_authorities_are_read_once_and_again_when_they_change(tmp_path, monkeypatch):
    """Each of twenty services had the system's authorities read anew, 70 ms of the loop each."""
    loads = []
    original = ssl.SSLContext.load_default_certs
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self: loads.append(1) or original(self))
    trusting.cache_clear()
    assert trusting(None, 0) is trusting(None, 0)
    assert loads == [1]
    file = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(file)
    first = trusting(file, file.stat().st_mtime_ns)
    assert trusting(file, file.stat().st_mtime_ns) is first
    os.utime(file, (1, 1))
    assert trusting(file, file.stat().st_mtime_ns) is not first
    trusting.cache_clear()
