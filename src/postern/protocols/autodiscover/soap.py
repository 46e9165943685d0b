"""Autodiscover's SOAP service (MS-OXWSADISC): GetUserSettings and GetDomainSettings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from lxml import etree

from postern.model.published import PublishedPerson, PublishedSite, Redirection
from postern.protocols.autodiscover.markup import LIMITS, tag, wrap
from postern.protocols.autodiscover.settings import VERSION, value
from postern.protocols.soap.envelope import SoapViolation, parse
from postern.protocols.soap.writing import envelope, fault, text

NAMESPACE = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_ADDRESSING = "http://www.w3.org/2005/08/addressing"
_ACTION = f"{NAMESPACE}/Autodiscover/"
_NAMESPACES = {"xmlns": NAMESPACE, "xmlns:i": "http://www.w3.org/2001/XMLSchema-instance"}
MAX_USERS = 100
"""Exchange's own limit of one request."""
_VERSION_INFO = "".join(
    tag(f"h:{name}", value)
    for name, value in (
        ("MajorVersion", "15"), ("MinorVersion", "0"), ("MajorBuildNumber", "847"), ("MinorBuildNumber", "32"),
        ("Version", "Exchange2013_SP1"),
    )
)  # fmt: skip

Found = PublishedPerson | Redirection | None
"""What an address is; None: nobody, or nobody that the client may know of."""


class Request(msgspec.Struct, frozen=True):
    """One call."""

    operation: str
    """GetUserSettings, GetDomainSettings, or one that is not there."""
    names: tuple[str, ...]
    """Addresses, or domains."""
    settings: tuple[str, ...]


def parse_request(body: bytes) -> Request:
    """Raises SoapViolation for what is no SOAP request."""
    operation = parse(body, LIMITS).body
    name = etree.QName(operation)
    called = name.localname.removesuffix("RequestMessage")
    if name.namespace != NAMESPACE or called not in {"GetUserSettings", "GetDomainSettings"}:
        return Request(name.localname[:60], (), ())
    wanted = "Mailbox" if called == "GetUserSettings" else "Domain"
    return Request(called, _texts(operation, wanted), _texts(operation, "Setting"))


def _texts(element: etree._Element, local: str) -> tuple[str, ...]:
    return tuple((one.text or "").strip() for one in element.iter(f"{{{NAMESPACE}}}{local}"))


def user_settings(site: PublishedSite, request: Request, found: Mapping[str, Found]) -> bytes:
    """The answer to GetUserSettings; `found` holds every address of the request."""
    if (problem := _problem(request)) is not None:
        return _answer(request.operation, problem)
    users = "".join(_user(site, found[name], request.settings) for name in request.names)
    return _answer(request.operation, _outcome("NoError", "") + wrap("UserResponses", users))


def domain_settings(site: PublishedSite, request: Request, ours: Sequence[bool]) -> bytes:
    """The answer to GetDomainSettings; `ours` says of each domain whether it is an accepted one."""
    if (problem := _problem(request)) is not None:
        return _answer(request.operation, problem)
    domains = ""
    for own in ours:
        if not own:
            domains += wrap("DomainResponse", _outcome("InvalidDomain", "The domain is not known here.") + _nowhere())
            continue
        known = {"ExternalEwsUrl": site.ews, "ExternalEwsVersion": VERSION if site.ews else ""}
        given = "".join(
            wrap("DomainSetting", tag("Name", name) + tag("Value", known[name]), {"i:type": "DomainStringSetting"})
            for name in dict.fromkeys(request.settings)
            if known.get(name)
        )
        wrong = _setting_errors("DomainSetting", [n for n in request.settings if not known.get(n)], frozenset(known))
        domains += wrap(
            "DomainResponse", _outcome("NoError", "No error.") + wrong + wrap("DomainSettings", given) + _nowhere()
        )
    return _answer(request.operation, _outcome("NoError", "") + wrap("DomainResponses", domains))


def not_there(operation: str) -> bytes:
    """A fault for an operation that the service does not have."""
    return fault(_header("Fault"), "s:Client", f"The operation {operation} is not offered by this service.")


def malformed(problem: SoapViolation) -> bytes:
    """A fault for what is no request."""
    return fault(_header("Fault"), "s:Client", str(problem))


def _problem(request: Request) -> str | None:
    """What is wrong with the whole of it, as the content of Response."""
    names = request.names
    if not names or not all(names):
        return _outcome("InvalidRequest", "The request names nobody.")
    if len(names) > MAX_USERS:
        return _outcome("InvalidRequest", f"The request names more than {MAX_USERS}.")
    if not request.settings:
        return _outcome("InvalidRequest", "The request asks for no setting.")
    return None


def _user(site: PublishedSite, found: Found, settings: Sequence[str]) -> str:
    if found is None:
        content = _outcome("InvalidUser", "The user is not known here.") + _nowhere()
        return wrap("UserResponse", content + "<UserSettingErrors/><UserSettings/>")
    if isinstance(found, Redirection):
        content = _outcome("RedirectAddress", "Ask with the address of RedirectTarget.")
        content += tag("RedirectTarget", found.address)
        return wrap("UserResponse", content + "<UserSettingErrors/><UserSettings/>")
    given, missing, known = "", [], set()
    for name in dict.fromkeys(settings):
        element = value(name, site, found)
        if element:
            given += element
            continue
        missing.append(name)
        if element is not None:
            known.add(name)
    errors = _setting_errors("UserSetting", missing, frozenset(known))
    content = _outcome("NoError", "No error.") + _nowhere() + errors + wrap("UserSettings", given)
    return wrap("UserResponse", content)


def _setting_errors(kind: str, names: Sequence[str], known: frozenset[str]) -> str:
    errors = ""
    for name in dict.fromkeys(names):
        code = "SettingIsNotAvailable" if name in known else "InvalidSetting"
        message = f"Setting '{name}' is not available." if name in known else f"Setting '{name}' is not valid."
        errors += wrap(f"{kind}Error", tag("ErrorCode", code) + tag("ErrorMessage", message) + tag("SettingName", name))
    return wrap(f"{kind}Errors", errors)


def _outcome(code: str, message: str) -> str:
    return tag("ErrorCode", code) + tag("ErrorMessage", message)


def _nowhere() -> str:
    return '<RedirectTarget i:nil="true"/>'


def _answer(operation: str, response: str) -> bytes:
    message = wrap(f"{operation}ResponseMessage", wrap("Response", response), _NAMESPACES)
    return envelope(_header(f"{operation}Response"), message)


def _header(action: str) -> str:
    """With ServerVersionInfo, by which clients learn what they speak with (MS-OXWSADISC 2.2.4.21)."""
    return f'<a:Action xmlns:a="{_ADDRESSING}" s:mustUnderstand="1">{text(_ACTION + action)}</a:Action>' + wrap(
        "h:ServerVersionInfo", _VERSION_INFO, {"xmlns:h": NAMESPACE}
    )
