"""The reference of all settings, made from their annotations; also what error messages say is allowed."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from postern.config.settings import Settings

_LISTENER = "ID"


@cache
def _root() -> inspect.StructType:
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    return found


def _bare(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """A type without its annotations, and its description."""
    description = ""
    while isinstance(kind, inspect.Metadata):
        description = description or str((kind.extra_json_schema or {}).get("description", ""))
        kind = kind.type
    return kind, description


def _children(kind: inspect.Type) -> dict[str, inspect.Field]:
    """Keys of a table, of the tables in an array, or of the tables in a map."""
    kind, _ = _bare(kind)
    if isinstance(kind, inspect.VarTupleType):
        return _children(kind.item_type)
    if isinstance(kind, inspect.DictType):
        return _children(kind.value_type)
    if isinstance(kind, inspect.StructType):
        return {field.encode_name: field for field in kind.fields}
    return {}


def _at(key: str) -> inspect.Type | None:
    """The type at a dotted key such as `listen.imap.port` or `dkim[0].key`."""
    kind: inspect.Type = _root()
    for part in filter(None, re.split(r"\.|\[\d+\]", key)):
        bare, _ = _bare(kind)
        if isinstance(bare, inspect.DictType):
            kind = bare.value_type
            continue
        field = _children(bare).get(part)
        if field is None:
            return None
        kind = field.type
    return kind


def fields_at(key: str) -> list[str]:
    """Which keys a table has."""
    kind = _at(key)
    return sorted(_children(kind)) if kind is not None else []


def allowed(key: str) -> str:
    """In words, what a key takes."""
    kind = _at(key)
    return describe(kind) if kind is not None else "nothing"


def describe(kind: inspect.Type) -> str:
    """A type in words."""
    bare, description = _bare(kind)
    words = _words(bare)
    return f"{words} ({description})" if description else words


def _words(bare: inspect.Type) -> str:
    if isinstance(bare, inspect.LiteralType):
        return " or ".join(f'"{value}"' for value in bare.values)
    if isinstance(bare, inspect.IntType | inspect.FloatType):
        noun = "an integer" if isinstance(bare, inspect.IntType) else "a number"
        low = f" from {bare.ge}" if bare.ge is not None else ""
        high = f" to {bare.le}" if bare.le is not None else ""
        return noun + low + high
    if isinstance(bare, inspect.BoolType):
        return "true or false"
    if isinstance(bare, inspect.StrType):
        return "a non-empty text" if bare.min_length else "a text"
    if isinstance(bare, inspect.VarTupleType):
        inner, _ = _bare(bare.item_type)
        if isinstance(inner, inspect.StructType):
            return "an array of tables"
        return f"a list of {_words(inner)}"
    if isinstance(bare, inspect.UnionType):
        return " or ".join(_words(_bare(t)[0]) for t in bare.types if not isinstance(t, inspect.NoneType))
    return "a table"


def render() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Made by `postern settings --reference`; the source is `src/postern/config/settings.py`.",
        "One file, `postern.toml`: `--config FILE`, else `./postern.toml`, else `/etc/postern/postern.toml`. Every key",
        "has a default. Relative paths are relative to the file. `SIGHUP` reads it again; a bad file changes nothing.",
    ]
    for field in _root().fields:
        bare, _ = _bare(field.type)
        heading = f"[{field.encode_name}]"
        struct: inspect.Type = bare
        if isinstance(bare, inspect.VarTupleType):
            heading, struct = f"[[{field.encode_name}]]", _bare(bare.item_type)[0]
        elif isinstance(bare, inspect.DictType):
            heading, struct = f"[{field.encode_name}.{_LISTENER}]", _bare(bare.value_type)[0]
        assert isinstance(struct, inspect.StructType)
        lines += ["", f"## `{heading}`", "", _sentence(struct.cls), "", "| key | default | takes |", "|---|---|---|"]
        lines += [f"| `{key.encode_name}` | {_default(key)} | {_cell(describe(key.type))} |" for key in struct.fields]
    return "\n".join(lines) + "\n"


def _sentence(table: type[Any]) -> str:
    text = (table.__doc__ or "").partition(": ")[2].strip()
    return text[:1].upper() + text[1:]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "must be set"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "not set"
    return f"`{_toml(value)}`"


def _toml(value: object) -> str:
    """A default as it would be written in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)
