"""Responses as text: one message for each thing asked for, in its order (MS-OXWSCDATA 2.2.4.65)."""

from __future__ import annotations

import math

from postern.protocols.ews.names import DECLARED, ERRORS, TYPES
from postern.protocols.ews.versions import SERVER_VERSION_INFO
from postern.protocols.soap import writing
from postern.protocols.soap.writing import text

_NO_ERROR = "<m:ResponseCode>NoError</m:ResponseCode>"


def success(message: str, content: str = "") -> str:
    """A ResponseMessage that says it is done. `message` is the element's name."""
    return f'<m:{message} ResponseClass="Success">{_NO_ERROR}{content}</m:{message}>'


def error(message: str, code: str, said: str, content: str = "") -> str:
    """One that says why not; `content` is what the schema wants there all the same."""
    return (
        f'<m:{message} ResponseClass="Error"><m:MessageText>{text(said)}</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        f"{content}</m:{message}>"
    )


def warning(message: str, code: str, said: str, content: str = "") -> str:
    """One that says what was left undone."""
    return (
        f'<m:{message} ResponseClass="Warning"><m:MessageText>{text(said)}</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        f"{content}</m:{message}>"
    )


def response(operation: str, messages: str) -> str:
    """The body of an answer: `<m:GetFolderResponse><m:ResponseMessages>...`."""
    return (
        f"<m:{operation}Response {DECLARED}><m:ResponseMessages>{messages}</m:ResponseMessages></m:{operation}Response>"
    )


def alone(message: str) -> str:
    """The body of an answer that is one response message itself: `<m:GetInboxRulesResponse ResponseClass=...`."""
    return message.replace(" ", f" {DECLARED} ", 1)


def envelope(body: str) -> bytes:
    """The whole answer."""
    return writing.envelope(SERVER_VERSION_INFO, body)


def busy(seconds: float) -> bytes:
    """The fault of a server that has too much to do: when to come again (MS-OXWSCDATA 2.2.4.64 MessageXml)."""
    wait = f'<t:Value Name="BackOffMilliseconds">{math.ceil(seconds * 1000)}</t:Value>'
    more = f'<t:MessageXml xmlns:t="{TYPES}">{wait}</t:MessageXml>'
    return fault("ErrorServerBusy", "The server cannot service this request right now. Try again later.", more=more)


def fault(code: str, said: str, *, server: bool = False, more: str = "") -> bytes:
    """A SOAP fault as Exchange makes them: clients read the ResponseCode in the detail. `more` goes with it."""
    told = f'<e:Message xmlns:e="{ERRORS}">{text(said)}</e:Message>'
    detail = f'<e:ResponseCode xmlns:e="{ERRORS}">{code}</e:ResponseCode>{told}'
    name = "s:Server" if server else f"a:{code}"
    return writing.envelope(
        SERVER_VERSION_INFO,
        f'<s:Fault><faultcode xmlns:a="{TYPES}">{name}</faultcode><faultstring xml:lang="en-US">{text(said)}'
        f"</faultstring><detail>{detail}{more}</detail></s:Fault>",
    )
