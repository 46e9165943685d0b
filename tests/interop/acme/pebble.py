"""Pebble, the ACME server of Let's Encrypt for tests, with a DNS of its own: it really asks for every challenge."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

import trustme
from tests.ports import free_ports


class Pebble:
    """An authority; every name leads to 127.0.0.1."""

    def __init__(self, folder: Path, program: str, dns_program: str, *, eab: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.http_port, self.tls_port = free_ports(2)
        port, management, dns, self.dns_management = free_ports(4)
        self.directory = f"https://localhost:{port}/dir"
        self.management = f"https://localhost:{management}"
        ca = trustme.CA()
        served = ca.issue_cert("localhost", "127.0.0.1")
        served.private_key_pem.write_to_path(folder / "key.pem")
        served.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        ca.cert_pem.write_to_path(folder / "ca.pem")
        self.trust = folder / "ca.pem"
        settings: dict[str, object] = {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(folder / "cert.pem"),
            "privateKey": str(folder / "key.pem"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(eab),
            "externalAccountMACKeys": eab or {},
            "profiles": {"default": {"description": "90 days", "validityPeriod": 7776000}},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20"}
        self._log = (folder / "log").open("wb")
        self._processes = [
            subprocess.Popen(
                [dns_program, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{dns}", "-http01",
                 "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{self.dns_management}"],
                stdout=self._log, stderr=self._log,
            ),
            subprocess.Popen(
                [program, "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"],
                env=environment, stdout=self._log, stderr=self._log,
            ),
        ]  # fmt: skip
        try:
            for needed in (port, self.dns_management):
                self._await(needed)
        except RuntimeError:
            self.stop()
            raise

    def _await(self, port: int) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"Pebble did not start: {(self.folder / 'log').read_text()}")

    def root(self) -> str:
        """The authority's own certificate, made anew each start."""
        context = ssl.create_default_context(cafile=str(self.trust))
        with urllib.request.urlopen(f"{self.management}/roots/0", context=context) as answer:
            return answer.read().decode()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()
