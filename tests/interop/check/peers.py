"""Debian's Dovecot, slapd and nginx on loopback ports of their own, without the system's configuration."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.ports import free_ports


def need(program: str) -> str:
    path = shutil.which(program, path="/usr/sbin:/usr/bin")
    if path is None or os.geteuid() != 0:
        pytest.skip(f"needs {program}, and root to start it: run scripts/install-test-parts as root")
    return path


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory that the programs' own users may enter, which pytest's they may not."""
    root = Path(tempfile.mkdtemp(prefix="postern-check-"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def certificate(root: Path, authority: trustme.CA, *names: str, stem: str = "server", **more: object) -> None:
    issued = authority.issue_cert(*names, **more)
    issued.private_key_pem.write_to_path(root / f"{stem}.key")
    (root / f"{stem}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(root / "ca.pem")


@contextlib.contextmanager
def running(command: list[str], ports: list[int], root: Path, address: str = "127.0.0.1") -> Iterator[None]:
    """A program in a process group of its own, from when its ports answer."""
    with (root / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        end = time.monotonic() + 60
        for port in ports:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex((address, port)) == 0:
                        break
                said = (root / "output").read_text(errors="replace")[-2000:]
                assert process.poll() is None, f"{command[0]} ended: {said}"
                assert time.monotonic() < end, f"{command[0]} does not listen: {said}"
                time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


DOVECOT_ADDRESS = "127.0.0.3"
"""Dovecot takes a client that comes from its own address for protected and lets it log in without TLS."""
DOVECOT = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
protocols = imap pop3
listen = {address}
ssl = {ssl}
ssl_cert = <{root}/server.pem
ssl_key = <{root}/server.key
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = {guarded}
auth_mechanisms = plain login
passdb {{
  driver = static
  args = password=none
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={root}
}}
mail_location = maildir:{root}/mail
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
"""


@contextlib.contextmanager
def dovecot(authority: trustme.CA, *, ssl: str = "yes", guarded: str = "yes") -> Iterator[dict[str, int]]:
    program = need("dovecot")
    with place() as root:
        certificate(root, authority, "mail.example.org")
        ports = dict(zip(("imap", "imaps", "pop3", "pop3s"), free_ports(4, DOVECOT_ADDRESS), strict=True))
        config = root / "dovecot.conf"
        config.write_text(DOVECOT.format(root=root, address=DOVECOT_ADDRESS, ssl=ssl, guarded=guarded, **ports))
        wanted = [ports["imap"], ports["pop3"]]
        with running([program, "-F", "-c", str(config)], wanted, root, DOVECOT_ADDRESS):
            yield ports


SLAPD = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {root}/slapd.pid
TLSCACertificateFile {root}/ca.pem
TLSCertificateFile {root}/server.pem
TLSCertificateKeyFile {root}/server.key
TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory {root}/db
access to * by * read
"""


@contextlib.contextmanager
def slapd(authority: trustme.CA) -> Iterator[tuple[int, int]]:
    program = need("slapd")
    with place() as root:
        certificate(root, authority, "ldap.example.org")
        (root / "db").mkdir()
        (root / "slapd.conf").write_text(SLAPD.format(root=root))
        plain, tls = free_ports(2)
        urls = f"ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/"
        command = [program, "-h", urls, "-f", str(root / "slapd.conf"), "-d", "256"]
        with running(command, [plain, tls], root):
            yield plain, tls


NGINX = """
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  ssl_certificate {root}/server.pem;
  ssl_certificate_key {root}/server.key;
  ssl_ciphers "ALL:@SECLEVEL=0";
  server {{
    listen 127.0.0.1:{good} ssl;
    ssl_protocols TLSv1.2 TLSv1.3;
    location = /autodiscover/autodiscover.xml {{ add_header WWW-Authenticate 'Negotiate' always;
      add_header WWW-Authenticate 'NTLM' always; add_header WWW-Authenticate 'Basic realm="a, b"' always; return 401; }}
    location = /ews/exchange.asmx {{ add_header WWW-Authenticate 'Bearer realm="x"' always; return 401; }}
    location = /mapi/emsmdb/ {{ return 503; }}
    location = /rpc/rpcproxy.dll {{ return 200; }}
    location /owa/ {{ return 302 /owa/auth/logon.aspx; }}
  }}
  server {{
    listen 127.0.0.1:{old} ssl;
    ssl_protocols TLSv1.1 TLSv1.2;
    ssl_certificate {root}/expired.pem;
    ssl_certificate_key {root}/expired.key;
  }}
  server {{
    listen 127.0.0.1:{oldest} ssl;
    ssl_protocols TLSv1 TLSv1.1;
  }}
  server {{ listen 127.0.0.1:{plain}; return 301 https://mail.example.org/owa/; }}
}}
"""


@contextlib.contextmanager
def nginx(authority: trustme.CA, **expired: object) -> Iterator[dict[str, int]]:
    program = need("nginx")
    with place() as root:
        certificate(root, authority, "mail.example.org", "*.web.example.org")
        certificate(root, authority, "mail.example.org", stem="expired", **expired)
        ports = dict(zip(("good", "old", "oldest", "plain"), free_ports(4), strict=True))
        (root / "nginx.conf").write_text(NGINX.format(root=root, **ports))
        command = [program, "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]
        with running(command, list(ports.values()), root):
            yield ports
