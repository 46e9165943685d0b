"""`postern quickstart ADDRESS`: everything a real organisation needs, written once."""

from __future__ import annotations

import ipaddress
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from postern.certificates.place import Place, write_private
from postern.cli import dns_records, systemd_unit
from postern.cli.account_values import new_password
from postern.cli.files import explain_file
from postern.cli.language import _, language
from postern.cli.organisation import Json, hash_cost, run
from postern.cli.output import fail, print_json
from postern.config.loading import load
from postern.config.settings import Settings
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import new_credentials
from postern.formats import dkim, issuing
from postern.model.addresses import check, normalise_domain, split, unicode_domain
from postern.model.refusal import Refusal
from postern.net.clock import SystemClock, SystemEntropy

Hostname = Annotated[str, Parameter(help=_("Name of this server; without it mail.DOMAIN."))]
IpAddress = Annotated[
    tuple[str, ...],
    Parameter(name="--address", negative="", help=_("Public IP address of this server; may be repeated.")),
]
Where = Annotated[
    Path | None,
    Parameter(
        name=["--config", "-c"],
        help=_("Settings file to write; without it /etc/postern/postern.toml as root, else ./postern.toml."),
    ),
]
Data = Annotated[Path | None, Parameter(help=_("Data directory; without it /var/lib/postern as root, else ./data."))]
User = Annotated[str, Parameter(help=_("System user of the systemd unit."))]

CONFIG = """\
# Postern's settings. All keys: postern settings --reference
[server]
hostname = "{hostname}"
data = "{data}"
language = "{language}"

# A certificate that clients trust instead of the one made at installation, obtained and renewed by the server itself:
# [acme]
# directory = "https://acme-v02.api.letsencrypt.org/directory"
# agree_to_terms = true
# names = ["{hostname}"]
# or from your authority: postern cert request, then postern cert import

# Mail leaves by the MX records of its recipients. Through a provider instead:
# [[send_connector]]
# name = "provider"
# smart_hosts = ["smtp.provider.example:587"]
# tls = "required"
# username = "user"
# password_file = "provider-password"
{dkim}"""


def quickstart(  # noqa: D103 - its help is in the command table
    address: str,
    /,
    *,
    hostname: Hostname = "",
    ip: IpAddress = (),
    config: Where = None,
    data: Data = None,
    user: User = "postern",
    json: Json = False,
) -> None:
    admin, host = _names(address, hostname)
    addresses = [_address(one) for one in ip] or own_addresses()
    root = os.geteuid() == 0
    config = (config or Path("/etc/postern/postern.toml" if root else "postern.toml")).resolve()
    place = (data or (Path("/var/lib/postern") if root else config.parent / "data")).resolve()
    refuse_existing(config, place)
    facts = write(admin, host, addresses, config, place, user)
    if json:
        print_json(facts)
    else:
        sys.stdout.write(explain(facts))


def _names(address: str, hostname: str) -> tuple[str, str]:
    """The administrator's address and the server's name, as they are kept; ends with what is wrong with them."""
    try:
        admin = check(address)
        normalise_domain(split(admin)[1])
    except Refusal:
        fail(_("not an e-mail address: {address}. One looks like admin@example.org", address=address))
    name = hostname or f"mail.{split(admin)[1]}"
    try:
        return admin, normalise_domain(name)
    except Refusal:
        fail(_("not a name for a server: {name}. Give one with --hostname, such as mail.example.org", name=name))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        fail(_("not an IP address: {text}. One looks like 203.0.113.7", text=text))


def refuse_existing(config: Path, data: Path) -> None:
    """Never write over an organisation."""
    if config.is_dir():
        fail(_("{file} is a folder: name a file.", file=config))
    for path in (config, data / "directory.db"):
        if path.exists():
            fail(
                _(
                    "{path} exists: quickstart never changes an organisation that is there."
                    " If it is what an attempt that failed has left, remove {config} and {data} and try again.",
                    path=path,
                    config=config,
                    data=data,
                )
            )


def own_addresses() -> list[str]:
    """Addresses by which this machine reaches the world: no packet is sent to find out."""
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))
            except OSError:
                continue
            found.append(ipaddress.ip_address(str(probe.getsockname()[0])))
    usable = [address for address in found if not address.is_loopback and not address.is_link_local]
    # a private IPv6 address beside another one helps nobody, and keeps senders waiting who have IPv6
    best = [address for address in usable if address.version == 4 or address.is_global]
    return [str(address) for address in best or usable]


def write(admin: str, host: str, addresses: list[str], config: Path, data: Path, user: str) -> dict[str, Any]:
    """Write files and directory; what was written, for JSON."""
    domain = split(admin)[1]
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        config.parent.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys([host, domain, *(f"{name}.{domain}" for name in (*dns_records.MADE_UP, "mail"))]))
        now = SystemClock().now()
        Place(data).listeners.replace(*issuing.self_signed(names, addresses, now))
        Place(data).ensure_identity(host, now)
        keys = make_dkim(domain, data)
        config.write_text(render_config(host, data, domain, keys), "utf-8")
        config.chmod(0o640 if os.geteuid() == 0 else 0o600)
        unit = config.parent / "postern.service"
        unit.write_text(systemd_unit.render(config, data, user), "utf-8")
    except OSError as problem:
        fail(explain_file(problem, config))
    settings = load(config)
    password = new_password()
    run(lambda: found(settings, admin, password))
    handed_over = os.geteuid() == 0 and hand_over(data, config, user)
    records = dns_records.records(domain, host, addresses, [(selector, text) for selector, _path, text in keys])
    zone = dns_records.zone(records)
    (config.parent / f"{domain}.zone").write_text(zone, "utf-8")
    return {
        "address": admin,
        "password": password,
        "domain": domain,
        "hostname": host,
        "config": str(config),
        "data": str(data),
        "certificate": str(settings.certificate),
        "unit": str(unit),
        "user": user,
        "handed_over": handed_over,
        "private_addresses": [one for one in addresses if not ipaddress.ip_address(one).is_global],
        "dns": {"zone": zone, "panel": dns_records.panel(records, domain)},
    }


def make_dkim(domain: str, data: Path) -> list[tuple[str, Path, str]]:
    """An RSA key, which everybody verifies. Selector, file, TXT record."""
    pem = dkim.generate_key("rsa", 2048)
    path = data / "dkim" / f"{domain}.postern.pem"
    write_private(path, pem)
    return [("postern", path, dkim.dns_record(pem))]


def render_config(host: str, data: Path, domain: str, keys: list[tuple[str, Path, str]]) -> str:
    """postern.toml."""
    signed = "".join(
        f'\n[[dkim]]\ndomain = "{domain}"\nselector = "{selector}"\nkey = "{path}"\n' for selector, path, _text in keys
    )
    return CONFIG.format(hostname=host, data=data, language=language(), dkim=signed)


async def found(settings: Settings, admin: str, password: str) -> None:
    """The organisation with its first account."""
    from postern.roles.context import open_organisation

    async with open_organisation(settings) as organisation:
        await organisation.directory.put_domain(Domain(split(admin)[1]))
        hashed, keys = new_credentials(password, SystemEntropy(), hash_cost(settings))
        new = NewAccount(admin, "Administrator", password_hash=hashed, scram=keys, admin=True)
        for account in await organisation.directory.create_accounts([new]):
            assert account.mailbox
            await organisation.store.create_mailbox(account.mailbox, account.slot, account.quota)
        await organisation.directory.set_postmaster(admin)


def hand_over(data: Path, config: Path, user: str) -> bool:
    """As root: give the state to the system user, if there is one; else the text says how to make it."""
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return False
    for path in [data, *data.rglob("*")]:
        os.chown(path, entry.pw_uid, entry.pw_gid)
    os.chown(config, 0, entry.pw_gid)
    return True


def explain(facts: dict[str, Any]) -> str:
    """What a person does next."""
    lines = [
        _("The organisation {domain} is ready to start.", domain=with_unicode(facts["domain"])),
        "",
        _("  Administrator   {address}", address=with_unicode(facts["address"])),
        _("  Password        {password}   (shown this once)", **facts),
        _("  Settings        {config}", **facts),
        _("  State           {data}", **facts),
        _("  Certificate     {certificate} (self-signed; see docs/certificates.md)", **facts),
        "",
        _("1. DNS records, for a zone file (also in {domain}.zone beside the settings):", **facts),
        "",
        facts["dns"]["zone"],
        _("   The same for a provider's panel (name, type, priority, value):"),
        "",
    ]
    for row in facts["dns"]["panel"]:
        priority = "-" if row["priority"] is None else row["priority"]
        lines.append(f"   {row['name']:<22} {row['type']:<5} {priority!s:>3}  {row['value']}")
        lines.append(f"   {'':<22} {row['why']}")
    if facts["private_addresses"]:
        lines += [
            "",
            _(
                "   {which}: nobody outside reaches this address. Put the public one into the records"
                " (quickstart takes it from --address), and lead ports to this machine.",
                which=", ".join(facts["private_addresses"]),
            ),
        ]
    lines += [
        "",
        _(
            "   Ask your provider for a PTR record (reverse DNS): the server's address must lead to {hostname}.",
            hostname=with_unicode(facts["hostname"]),
        ),
        "",
        _("2. Start it:"),
        "",
        *commands(facts),
        "",
        _("   or in the foreground:  postern serve --config {config}", **facts),
        "",
    ]
    return "\n".join(lines)


def with_unicode(name: str) -> str:
    """A domain or an address; where it has A-labels, what they mean beside it, if the terminal can write that."""
    local, domain = split(name) if "@" in name else ("", name)
    shown = unicode_domain(domain)
    if shown == domain:
        return name
    meant = f"{local}@{shown}" if local else shown
    try:
        meant.encode(sys.stdout.encoding or "ascii")
    except UnicodeError:
        return name
    return f"{name} ({meant})"


def commands(facts: dict[str, Any]) -> list[str]:
    """What root types to have the server started: its user owns the state and may read the settings."""
    data, config, unit, user = (shlex.quote(facts[name]) for name in ("data", "config", "unit", "user"))
    lines = []
    if not facts["handed_over"]:
        lines = [
            f"   useradd --system --home-dir {data} --shell /usr/sbin/nologin {user}",
            f"   chown -R {user}: {data} && chgrp {user} {config} && chmod 640 {config}",
        ]
    return [*lines, f"   install -m 644 {unit} /etc/systemd/system/ && systemctl enable --now postern"]
