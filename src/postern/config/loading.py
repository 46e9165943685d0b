"""Reads postern.toml. A bad file is an error with file, line, key and what is allowed there."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from postern.catalogue.load import load as load_catalogue
from postern.config.reference import allowed, fields_at
from postern.config.settings import Listener, Settings
from postern.model.places import line_of, line_of_error

DEFAULT_PATHS = (Path("postern.toml"), Path("/etc/postern/postern.toml"))


class SettingsError(Exception):
    """The file cannot be used; the text says where and why."""

    def __init__(self, file: str, line: int | None, key: str, problem: str, hint: str = "") -> None:
        where = f"{file}:{line}" if line else file
        text = f"{where}: {key + ': ' if key else ''}{problem}"
        super().__init__(f"{text}. {hint}" if hint else text)
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem


def load(path: Path) -> Settings:
    """Read a file. Relative paths in it are relative to it. Raises SettingsError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SettingsError(
            str(path), None, "", "there is no such file", "`postern quickstart admin@your.domain` writes one"
        ) from None
    except PermissionError:
        raise SettingsError(
            str(path),
            None,
            "",
            f"cannot be read: permission denied to user {_own_name()}",
            f"Start the server as its own user, or let that user read the file: chgrp GROUP {path}; chmod 640 {path}",
        ) from None
    except IsADirectoryError:
        raise SettingsError(
            str(path), None, "", "is a folder", f"name the file in it, such as {path}/postern.toml"
        ) from None
    except OSError as problem:
        raise SettingsError(str(path), None, "", f"cannot be read: {problem.strerror or problem}") from problem
    except UnicodeDecodeError as problem:
        raise SettingsError(
            str(path), None, "", f"cannot be read: {problem}", "it has to be text in UTF-8"
        ) from problem
    return parse(text, str(path), path.resolve().parent)


def _own_name() -> str:
    import os
    import pwd  # not on every system that shows the catalogue

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def parse(text: str, file: str = "postern.toml", base: Path | None = None) -> Settings:
    """Turn the text of a file into settings. Raises SettingsError."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(file, line_of_error(text, problem), "", f"not TOML: {problem}") from problem
    try:
        settings = msgspec.convert(tree, Settings, strict=True)
    except msgspec.ValidationError as problem:
        raise _explain(str(problem), text, file, tree) from problem
    for key, complaint in _complaints(settings):
        raise SettingsError(file, line_of(text, key), key, complaint)
    return _absolute(settings, base) if base else settings


def _explain(message: str, text: str, file: str, tree: dict[str, Any]) -> SettingsError:
    """From msgspec's words (`... - at `$.smtp.max_recipients``) to a place in the file."""
    problem, _, where = message.partition(" - at `")
    key = re.sub(r"^\$\.?", "", where.rstrip("`")).replace("[...]", _map_key(tree, problem))
    unknown = re.search(r"unknown field `([^`]+)`", problem)
    if unknown:
        known = ", ".join(fields_at(key)) or "nothing"
        wrong = f"{key}.{unknown[1]}" if key else unknown[1]
        return SettingsError(file, line_of(text, wrong), wrong, "there is no such key", f"Known here: {known}")
    missing = re.search(r"missing required field `([^`]+)`", problem)
    if missing:
        return SettingsError(file, line_of(text, key), f"{key}.{missing[1]}", "this key must be set")
    return SettingsError(file, line_of(text, key), key, problem, f"Allowed: {allowed(key)}")


def _map_key(tree: dict[str, Any], problem: str) -> str:
    """Which listener msgspec means by `[...]`: it does not say, so try them one by one."""
    listen = tree.get("listen")
    for name, value in listen.items() if isinstance(listen, dict) else ():
        try:
            msgspec.convert(value, Listener, strict=True)
        except msgspec.ValidationError as found:
            if str(found).partition(" - at `")[0] == problem:
                return f".{name}"
    return ""


def _complaints(settings: Settings) -> Iterator[tuple[str, str]]:
    """What types cannot say."""
    yield from _listener_complaints(settings)
    yield from _connector_complaints(settings)
    for key in ("addresses", "nameservers"):
        for address in getattr(settings.network, key):
            yield from _address(f"network.{key}", address)
    if settings.network.source_address:
        yield from _address("network.source_address", settings.network.source_address)
    quota = settings.store
    steps = [limit for limit in (quota.warn_bytes, quota.no_send_bytes, quota.no_receive_bytes) if limit]
    if steps != sorted(steps):
        yield "store.warn_bytes", "must not be above no_send_bytes, nor that above no_receive_bytes"
    yield from _certificate_complaints(settings)
    if settings.queue.delay_notice_s >= settings.queue.expire_s:
        yield "queue.delay_notice_s", "must be less than queue.expire_s"


def _certificate_complaints(settings: Settings) -> Iterator[tuple[str, str]]:
    tls, acme = settings.tls, settings.acme
    if bool(tls.certificate) != bool(tls.key):
        yield "tls.certificate", "certificate and key are set together or not at all"
    if bool(tls.client_certificate) != bool(tls.client_key):
        yield "tls.client_certificate", "client_certificate and client_key are set together or not at all"
    for address in acme.addresses:
        yield from _address("acme.addresses", address)
    for index, partner in enumerate(settings.partner):
        for one in partner.pins:
            if not re.fullmatch(r"[0-9A-Fa-f]{64}", one):
                yield f"partner[{index}].pins", f"{one!r} is no SHA-256: `postern cert show FILE` shows a pin"
        if partner.authority and not Path(partner.authority).is_file():
            yield f"partner[{index}].authority", f"there is no file {partner.authority}"
    if not acme.directory:
        return
    if not acme.directory.startswith("https://"):
        yield "acme.directory", "must begin with https:// (RFC 8555 6.1)"
    if acme.challenge == "dns-01" and not acme.hook:
        yield "acme.hook", "dns-01 needs a program that writes TXT records"
    if acme.challenge != "dns-01" and any(name.startswith("*.") for name in acme.names):
        yield "acme.challenge", "names with * can only be had by dns-01 (RFC 8555 8.4)"
    if tls.certificate:
        yield "acme.directory", "remove [tls] certificate and key: an ACME certificate lies in the data directory"


def _listener_complaints(settings: Settings) -> Iterator[tuple[str, str]]:
    known = [path.id for path in load_catalogue().listeners]
    for name, listener in settings.listen.items():
        if name not in known:
            yield f"listen.{name}", f"there is no such data path; known: {', '.join(known)}"
            continue
        for address in listener.addresses:
            yield from _address(f"listen.{name}.addresses", address)
        if listener.mechanisms:
            supported = load_catalogue().listener(name).authentication_supported
            for mechanism in listener.mechanisms:
                if mechanism not in supported:
                    yield f"listen.{name}.mechanisms", f"{mechanism} is not supported on this data path"


def _connector_complaints(settings: Settings) -> Iterator[tuple[str, str]]:
    for index, connector in enumerate(settings.receive_connector):
        for network in connector.remote:
            try:
                ipaddress.ip_network(network)
            except ValueError as problem:
                yield f"receive_connector[{index}].remote", f"{problem}; for example 192.0.2.0/24"
        if connector.anonymous_relay and any(ipaddress.ip_network(n).prefixlen == 0 for n in connector.remote):
            yield (
                f"receive_connector[{index}].anonymous_relay",
                "would be an open relay: limit `remote` to your networks",
            )


def _address(key: str, value: str) -> Iterator[tuple[str, str]]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        yield key, f"{value!r} is not an IP address, for example 192.0.2.1 or ::"


def _absolute(settings: Settings, base: Path) -> Settings:
    """Paths in the file are relative to the file."""

    def full(path: str) -> str:
        return str(base / path) if path else ""

    replace = msgspec.structs.replace
    return replace(
        settings,
        server=replace(settings.server, data=full(settings.server.data)),
        tls=replace(
            settings.tls,
            **{
                name: full(getattr(settings.tls, name))
                for name in ("certificate", "key", "client_certificate", "client_key")
            },
        ),
        acme=replace(settings.acme, trust=full(settings.acme.trust), eab_key_file=full(settings.acme.eab_key_file)),
        authentication=replace(settings.authentication, client_ca=full(settings.authentication.client_ca)),
        kerberos=replace(settings.kerberos, keytab=full(settings.kerberos.keytab)),
        oidc=tuple(replace(issuer, authority=full(issuer.authority)) for issuer in settings.oidc),
        partner=tuple(replace(one, authority=full(one.authority)) for one in settings.partner),
        dkim=tuple(replace(key, key=full(key.key)) for key in settings.dkim),
        send_connector=tuple(replace(c, password_file=full(c.password_file)) for c in settings.send_connector),
    )
