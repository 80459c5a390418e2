# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy.Connection as plain JSON data and back: what the control socket's `add` request carries.

The form follows the dataclasses' own fields: enums and flags by name, octets in hexadecimal, addresses and subnets as
text, tuples as lists, nested dataclasses as objects. Fields that hold their default are left out.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from enum import Enum, Flag, IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from openswan.base.errors import ConfigError
from openswan.policy.connection import Connection

TEXTUAL = (IPv4Address, IPv6Address, IPv4Network, IPv6Network)
MOST_ITEMS = 4096
"""Elements of one list; a request with more is refused."""


def connection_to_plain(connection: Connection) -> dict[str, Any]:
    """A JSON-able dict that connection_from_plain() turns back into an equal connection."""
    plain: dict[str, Any] = _encode(connection)
    return plain


def connection_from_plain(plain: object) -> Connection:
    """The connection such a dict describes; ConfigError names the field that is not as it should be."""
    connection = _decode(Connection, plain, "connection")
    assert isinstance(connection, Connection)
    if not connection.name:
        raise ConfigError("connection: name is empty")
    return connection


def _encode(value: Any) -> Any:
    if isinstance(value, TEXTUAL):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Flag):
        return [member.name for member in value]
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: _encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.default is dataclasses.MISSING or getattr(value, field.name) != field.default
        }
    return value


def _address(text: str) -> Any:
    return ip_address(text)


def _network(text: str) -> Any:
    return ip_network(text)


FROM_TEXT: dict[Any, Callable[[str], Any]] = {
    IPv4Address: _address,
    IPv6Address: _address,
    IPv4Network: _network,
    IPv6Network: _network,
    bytes: bytes.fromhex,
    str: str,
}


@lru_cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Field name to (type, has a default)."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is not dataclasses.MISSING) for field in dataclasses.fields(kind)
    }


def _decode(kind: Any, plain: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(typing.get_args(kind), plain, path)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), plain, path)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast(type, kind), plain, path)
    try:
        return _decode_scalar(kind, plain)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ConfigError(f"{path}: {str(plain)[:60]!r} is not what belongs there") from None


def _decode_union(kinds: tuple[Any, ...], plain: Any, path: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    candidates = [kind for kind in kinds if kind is not type(None)]
    # Only the two address families stand side by side, and either reads both.
    return _decode(candidates[0], plain, path)


def _decode_tuple(kinds: tuple[Any, ...], plain: Any, path: str) -> Any:
    if not isinstance(plain, list) or len(plain) > MOST_ITEMS:
        raise ConfigError(f"{path}: a list of at most {MOST_ITEMS} belongs there")
    return tuple(_decode(kinds[0], item, f"{path}[{place}]") for place, item in enumerate(plain))


def _decode_dataclass(kind: type, plain: Any, path: str) -> Any:
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: an object belongs there")
    fields = _fields(kind)
    if unknown := [str(name) for name in plain if name not in fields]:
        raise ConfigError(f"{path}: unknown field {unknown[0][:60]!r}")
    if missing := [name for name, (_, optional) in fields.items() if not optional and name not in plain]:
        raise ConfigError(f"{path}: field {missing[0]!r} is missing")
    return kind(**{name: _decode(fields[name][0], value, f"{path}.{name}") for name, value in plain.items()})


def _decode_scalar(kind: Any, plain: Any) -> Any:
    if kind in FROM_TEXT:
        if not isinstance(plain, str):
            raise TypeError
        return FROM_TEXT[kind](plain)
    if kind is bool:
        if not isinstance(plain, bool):
            raise TypeError
        return plain
    if kind in (int, float):
        if isinstance(plain, bool) or not isinstance(plain, int | (float if kind is float else int)):
            raise TypeError
        return kind(plain)
    if issubclass(kind, Flag):
        if not isinstance(plain, list):
            raise TypeError
        flags = kind(0)
        for name in plain:
            flags |= kind[name]
        return flags
    if issubclass(kind, IntEnum):
        if isinstance(plain, bool) or not isinstance(plain, int):
            raise TypeError
        return kind(plain)
    return kind[plain]
