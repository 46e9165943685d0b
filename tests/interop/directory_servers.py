"""OpenLDAP servers full of people, and a Postern organisation's directory that is mirrored from one."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.interop.check.peers import certificate, need, place, running
from tests.ports import free_ports

from postern.config.settings import Server, Settings
from postern.directory.interface import Domain, Source
from postern.ldapsource.settings import SourceSettings, written
from postern.net.dns import DnsResolver
from postern.roles.mirroring import Mirroring
from postern.roles.parts import Parts

BASE = "dc=example,dc=org"
READER = f"cn=reader,{BASE}"
ADMIN = f"cn=admin,{BASE}"
PASSWORD = "secret"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
{modules}
pidfile {root}/slapd.pid
TLSCACertificateFile {root}/ca.pem
TLSCertificateFile {root}/server.pem
TLSCertificateKeyFile {root}/server.key
TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2
database mdb
maxsize 2147483648
suffix "{base}"
rootdn "{admin}"
rootpw secret
directory {root}/db
dbnosync
index objectClass,entryUUID,entryCSN,modifyTimestamp,uid,mail eq
limits dn.exact="{reader}" size=unlimited time=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
{overlay}
"""
SYNCPROV = "overlay syncprov\nsyncprov-checkpoint 1000 60\n"


def entry_uuid(number: int) -> str:
    return str(uuid.UUID(int=0x5000_0000_0000_4000_8000_0000_0000_0000 + number))


def people(count: int) -> str:
    """LDIF for slapadd, which takes operational attributes too: two servers loaded with it are replicas."""
    lines = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n",
        f"dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n"
        f"userPassword: {PASSWORD}\n",
        f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n",
        f"dn: ou=groups,{BASE}\nobjectClass: organizationalUnit\nou: groups\n",
    ]
    for n in range(count):
        lines.append(
            f"dn: uid=u{n},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: u{n}\ncn: User {n}\nsn: N{n}\n"
            f"givenName: User\ndisplayName: User Number {n}\nmail: u{n}@example.org\nmail: user.{n}@example.org\n"
            f"title: Engineer\ndepartmentNumber: D{n % 40}\ntelephoneNumber: +49 30 {n}\nl: Berlin\n"
            f"manager: uid=u{n // 10},ou=people,{BASE}\nuserPassword: pw-{n}\nentryUUID: {entry_uuid(n)}\n"
        )
    for n in range(0, count, 50):
        members = "".join(f"member: uid=u{m},ou=people,{BASE}\n" for m in range(n, min(n + 50, count)))
        lines.append(
            f"dn: cn=g{n},ou=groups,{BASE}\nobjectClass: groupOfNames\ncn: g{n}\n{members}"
            f"entryUUID: {entry_uuid(1_000_000 + n)}\n"
        )
    return "\n".join(lines)


def prepare(root: Path, authority, ldif: str, *, sync: bool = True, log: int = 0, names: tuple[str, ...] = ()) -> Path:
    """Configuration and loaded database of a server."""
    certificate(root, authority, "127.0.0.1", "ldap.example.org", *names)
    (root / "db").mkdir()
    overlay = SYNCPROV + (f"syncprov-sessionlog {log}\n" if log else "") if sync else ""
    config = root / "slapd.conf"
    modules = "moduleload syncprov" if sync else ""
    config.write_text(CONFIG.format(root=root, base=BASE, admin=ADMIN, reader=READER, modules=modules, overlay=overlay))
    (root / "people.ldif").write_text(ldif)
    load = [need("slapadd"), "-q", "-f", str(config), "-l", str(root / "people.ldif")]
    done = subprocess.run([*load, *(["-w"] if sync else [])], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-2000:]
    return config


@contextlib.contextmanager
def slapd(authority, ldif: str, *, sync: bool = True, log: int = 0) -> Iterator[tuple[int, Path]]:
    program = need("slapd")
    with place() as root:
        config = prepare(root, authority, ldif, sync=sync, log=log)
        (port,) = free_ports(1)
        command = [program, "-h", f"ldap://127.0.0.1:{port}/", "-f", str(config), "-d", "0"]
        with running(command, [port], root):
            yield port, root / "ca.pem"


def modify(port: int, ldif: str) -> None:
    command = [need("ldapmodify"), "-x", "-H", f"ldap://127.0.0.1:{port}", "-D", ADMIN, "-w", PASSWORD]
    done = subprocess.run(command, input=ldif, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@contextlib.asynccontextmanager
async def mirrored(data: Path, settings: SourceSettings, *, kind: str = "ldap", nameserver: str = "127.0.0.1"):
    """An organisation with one source that was never synchronised."""
    parts = Parts.open(Settings(server=Server(data=str(data))), "test", None, 0)
    try:
        for domain in ("example.org", "corp.example.org"):
            await parts.directory.put_domain(Domain(domain))
        await parts.directory.put_source(Source("elsewhere", kind, settings=written(settings)))
        resolver = DnsResolver(parts.clock, (nameserver,), 53)
        mirroring = Mirroring(parts.directory, resolver, parts.clock, parts.entropy, data)
        (source,) = await parts.directory.sources()
        yield parts, mirroring.synchroniser(source), resolver
    finally:
        await parts.close()


def reader_settings(data: Path, port: int, ca: Path, **changes) -> SourceSettings:
    secret = data / "secret"
    secret.write_text(PASSWORD + "\n")
    facts = {
        "servers": (f"127.0.0.1:{port}",), "base": BASE, "user": READER, "password_file": str(secret),
        "trust": str(ca), "timeout_s": 60.0,
    }  # fmt: skip
    return SourceSettings(**{**facts, **changes})
