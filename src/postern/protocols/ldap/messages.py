"""LDAP messages (RFC 4511 4.1.1) to octets and back.

`encode` and `decode` work for both sides of a connection. An operation that is not modelled here comes back as
`Unknown`: a server answers it with protocolError, a client ignores it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import filters, results
from postern.protocols.ldap.operations import (
    ADD_RESPONSE,
    DELETE_RESPONSE,
    MODIFY_RESPONSE,
    AbandonRequest,
    AddRequest,
    BindRequest,
    BindResponse,
    Change,
    Control,
    DeleteRequest,
    Done,
    ExtendedRequest,
    ExtendedResponse,
    Message,
    ModifyRequest,
    Operation,
    Scope,
    SearchDone,
    SearchEntry,
    SearchReference,
    SearchRequest,
    UnbindRequest,
    Unknown,
)

MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
"""The largest message that is read; a photograph or a large group fits."""
ID_LIMIT = 2**31 - 1
"""Message ids (RFC 4511 4.1.1, maxInt)."""
CONTROLS_LIMIT = 64
"""Controls of one message."""
ATTRIBUTES_LIMIT = 1000
"""Attributes that one search names."""

_CONTROLS = 0xA0
_SIMPLE, _SASL, _SASL_CREDENTIALS = 0x80, 0xA3, 0x87
_EXTENDED_NAME, _EXTENDED_VALUE, _RESPONSE_NAME, _RESPONSE_VALUE = 0x80, 0x81, 0x8A, 0x8B


def encode(message: Message) -> bytes:
    """A message's octets."""
    operation = message.operation
    parts = [ber.integer(message.id), _ENCODERS[type(operation)](operation)]
    if message.controls:
        parts.append(ber.sequence(*map(_encode_control, message.controls), tag=_CONTROLS))
    return ber.sequence(*parts)


def decode(data: bytes) -> Message:
    """A message from exactly its octets (`ber.measure` finds them in a stream). Raises ProtocolViolation."""
    outer = Reader(data)
    inner = outer.enter()
    outer.finish()
    number = inner.integer()
    if not 0 <= number <= ID_LIMIT:
        raise ProtocolViolation(f"message id {number}")
    tag = inner.peek()
    decoder = _DECODERS.get(tag or 0)
    operation: Operation
    operation = Unknown(*inner.next()) if decoder is None else decoder(inner)
    controls: list[Control] = []
    if inner.peek() == _CONTROLS:
        listed = inner.enter(_CONTROLS)
        while listed:
            controls.append(_decode_control(listed.enter()))
            if len(controls) > CONTROLS_LIMIT:
                raise ProtocolViolation("too many controls")
    return Message(number, operation, tuple(controls))


def _encode_control(control: Control) -> bytes:
    parts = [ber.text(control.oid)]
    if control.critical:
        parts.append(ber.boolean(True))
    if control.value is not None:
        parts.append(ber.octets(control.value))
    return ber.sequence(*parts)


def _decode_control(reader: Reader) -> Control:
    oid = reader.text()
    critical = reader.boolean() if reader.peek() == ber.BOOLEAN else False
    return Control(oid, critical, reader.optional(ber.OCTET_STRING, Reader.octets))


# --- operations


def _encode_bind(one: BindRequest) -> bytes:
    if one.mechanism:
        parts = [ber.text(one.mechanism)] + ([] if one.credentials is None else [ber.octets(one.credentials)])
        how = ber.sequence(*parts, tag=_SASL)
    else:
        how = ber.octets(one.password, _SIMPLE)
    return ber.sequence(ber.integer(one.version), ber.text(one.name), how, tag=0x60)


def _decode_bind(reader: Reader) -> BindRequest:
    inner = reader.enter(0x60)
    version, name = inner.integer(), inner.text()
    if inner.peek() == _SASL:
        sasl = inner.enter(_SASL)
        return BindRequest(name, b"", sasl.text(), sasl.octets() if sasl.peek() == ber.OCTET_STRING else None, version)
    return BindRequest(name, inner.octets(_SIMPLE), version=version)


def _encode_bind_response(one: BindResponse) -> bytes:
    extra = b"" if one.credentials is None else ber.octets(one.credentials, _SASL_CREDENTIALS)
    return ber.element(0x61, results.encode(one.result) + extra)


def _decode_bind_response(reader: Reader) -> BindResponse:
    inner = reader.enter(0x61)
    return BindResponse(
        results.decode(inner), inner.octets(_SASL_CREDENTIALS) if inner.peek() == _SASL_CREDENTIALS else None
    )


def _decode_unbind(reader: Reader) -> UnbindRequest:
    reader.next(0x42)
    return UnbindRequest()


def _encode_search(one: SearchRequest) -> bytes:
    return ber.sequence(
        ber.text(one.base),
        ber.integer(one.scope, ber.ENUMERATED),
        ber.integer(one.dereference, ber.ENUMERATED),
        ber.integer(one.size_limit),
        ber.integer(one.time_limit_s),
        ber.boolean(one.types_only),
        filters.encode(one.filter),
        ber.sequence(*map(ber.text, one.attributes)),
        tag=0x63,
    )


def _decode_search(reader: Reader) -> SearchRequest:
    inner = reader.enter(0x63)
    base, scope, dereference = inner.text(), inner.integer(ber.ENUMERATED), inner.integer(ber.ENUMERATED)
    size, time, types_only = inner.integer(), inner.integer(), inner.boolean()
    if scope not in {0, 1, 2}:
        raise ProtocolViolation(f"search scope {scope}")
    found = filters.decode(inner)
    return SearchRequest(
        base, Scope(scope), found, _texts(inner.enter(), ATTRIBUTES_LIMIT), size, time, types_only, dereference
    )


def _encode_attributes(attributes: Mapping[str, tuple[bytes, ...]]) -> bytes:
    return ber.sequence(*(_attribute(name, values) for name, values in attributes.items()))


def _attribute(name: str, values: tuple[bytes, ...]) -> bytes:
    return ber.sequence(ber.text(name), ber.sequence(*map(ber.octets, values), tag=ber.SET))


def _decode_attribute(reader: Reader) -> tuple[str, tuple[bytes, ...]]:
    inner = reader.enter()
    name, listed, values = inner.text(), inner.enter(ber.SET), []
    while listed:
        values.append(listed.octets())
    return name, tuple(values)


def _decode_attributes(reader: Reader) -> dict[str, tuple[bytes, ...]]:
    listed, attributes = reader.enter(), {}
    while listed:
        name, values = _decode_attribute(listed)
        attributes[name] = values
    return attributes


def _encode_entry(one: SearchEntry) -> bytes:
    return ber.sequence(ber.text(one.dn), _encode_attributes(one.attributes), tag=0x64)


def _decode_entry(reader: Reader) -> SearchEntry:
    inner = reader.enter(0x64)
    return SearchEntry(inner.text(), _decode_attributes(inner))


def _encode_modify(one: ModifyRequest) -> bytes:
    changes = (
        ber.sequence(ber.integer(how, ber.ENUMERATED), _attribute(name, values)) for how, name, values in one.changes
    )
    return ber.sequence(ber.text(one.dn), ber.sequence(*changes), tag=0x66)


def _decode_modify(reader: Reader) -> ModifyRequest:
    inner = reader.enter(0x66)
    dn, listed, changes = inner.text(), inner.enter(), []
    while listed:
        change = listed.enter()
        how = change.integer(ber.ENUMERATED)
        if how not in {0, 1, 2}:
            raise ProtocolViolation(f"modification {how}")
        changes.append((Change(how), *_decode_attribute(change)))
    return ModifyRequest(dn, tuple(changes))


def _decode_add(reader: Reader) -> AddRequest:
    inner = reader.enter(0x68)
    return AddRequest(inner.text(), _decode_attributes(inner))


def _decode_done(reader: Reader) -> Done:
    tag = reader.peek() or 0
    return Done(tag, results.decode(reader.enter(tag)))


def _encode_extended(one: ExtendedRequest) -> bytes:
    value = b"" if one.value is None else ber.octets(one.value, _EXTENDED_VALUE)
    return ber.element(0x77, ber.text(one.oid, _EXTENDED_NAME) + value)


def _decode_extended(reader: Reader) -> ExtendedRequest:
    inner = reader.enter(0x77)
    oid = inner.text(_EXTENDED_NAME)
    return ExtendedRequest(oid, inner.octets(_EXTENDED_VALUE) if inner.peek() == _EXTENDED_VALUE else None)


def _encode_extended_response(one: ExtendedResponse) -> bytes:
    name = ber.text(one.oid, _RESPONSE_NAME) if one.oid else b""
    value = b"" if one.value is None else ber.octets(one.value, _RESPONSE_VALUE)
    return ber.element(0x78, results.encode(one.result) + name + value)


def _decode_extended_response(reader: Reader) -> ExtendedResponse:
    inner = reader.enter(0x78)
    result = results.decode(inner)
    oid = inner.text(_RESPONSE_NAME) if inner.peek() == _RESPONSE_NAME else ""
    return ExtendedResponse(result, oid, inner.octets(_RESPONSE_VALUE) if inner.peek() == _RESPONSE_VALUE else None)


def _texts(reader: Reader, limit: int | None = None) -> tuple[str, ...]:
    found: list[str] = []
    while reader:
        if limit is not None and len(found) >= limit:
            raise ProtocolViolation("too many of them")
        found.append(reader.text())
    return tuple(found)


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    BindRequest: _encode_bind,
    BindResponse: _encode_bind_response,
    UnbindRequest: lambda _: ber.null(0x42),
    SearchRequest: _encode_search,
    SearchEntry: _encode_entry,
    SearchReference: lambda one: ber.sequence(*map(ber.text, one.uris), tag=0x73),
    SearchDone: lambda one: ber.element(0x65, results.encode(one.result)),
    ModifyRequest: _encode_modify,
    AddRequest: lambda one: ber.sequence(ber.text(one.dn), _encode_attributes(one.attributes), tag=0x68),
    DeleteRequest: lambda one: ber.text(one.dn, 0x4A),
    Done: lambda one: ber.element(one.tag, results.encode(one.result)),
    AbandonRequest: lambda one: ber.integer(one.message_id, 0x50),
    ExtendedRequest: _encode_extended,
    ExtendedResponse: _encode_extended_response,
    Unknown: lambda one: ber.element(one.tag, one.content),
}

_DECODERS: dict[int, Callable[[Reader], Operation]] = {
    0x60: _decode_bind,
    0x61: _decode_bind_response,
    0x42: _decode_unbind,
    0x63: _decode_search,
    0x64: _decode_entry,
    0x73: lambda reader: SearchReference(_texts(reader.enter(0x73))),
    0x65: lambda reader: SearchDone(results.decode(reader.enter(0x65))),
    0x66: _decode_modify,
    0x68: _decode_add,
    0x4A: lambda reader: DeleteRequest(reader.text(0x4A)),
    MODIFY_RESPONSE: _decode_done,
    ADD_RESPONSE: _decode_done,
    DELETE_RESPONSE: _decode_done,
    0x50: lambda reader: AbandonRequest(reader.integer(0x50)),
    0x77: _decode_extended,
    0x78: _decode_extended_response,
}
"""By the tag of the operation."""
