# SPDX-License-Identifier: GPL-2.0-or-later
"""Instances of a template: the connection a road warrior gets, with its own address, identity and client."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from openswan.base.address import Address, Subnet
from openswan.base.errors import ConfigError
from openswan.policy.connection import Connection, End, Host, HostKind
from openswan.policy.identity import Identity, matches


class Side(Enum):
    """Which end of a connection."""

    LEFT = "left"
    RIGHT = "right"


TEMPLATE_KINDS = (HostKind.ANY, HostKind.OPPORTUNISTIC)


def template_side(connection: Connection) -> Side | None:
    """The end that stands for any peer, or None when the connection is not a template."""
    if connection.right.host.kind in TEMPLATE_KINDS:
        return Side.RIGHT
    if connection.left.host.kind in TEMPLATE_KINDS:
        return Side.LEFT
    return None


def instantiate(
    template: Connection,
    peer: Address,
    peer_id: Identity | None = None,
    client: Subnet | None = None,
    protocol: int | None = None,
    port: int | None = None,
) -> Connection:
    """The connection for one peer of a template; ConfigError when the peer may not have it.

    `peer_id` is what the peer has proved to be; it must be one the template admits. `client` is what was negotiated
    for the peer's side (as are `protocol` and `port`); it must lie inside the template's client, or, when the template
    names none, be the peer itself.
    """
    side = template_side(template)
    if side is None:
        raise ConfigError(f'"{template.name}" is no template: both ends are known')
    end = template.left if side is Side.LEFT else template.right
    if peer_id is not None and not matches(end.id, peer_id):
        raise ConfigError(f'"{template.name}" wants {end.id}, the peer is {peer_id}')
    changed = replace(
        end,
        host=Host(HostKind.ADDRESS, peer),
        id=peer_id if peer_id is not None else end.id,
        subnet=_client(template, end, peer, client),
        protocol=_narrowed(end.protocol, protocol, template, "protocol"),
        port=_narrowed(end.port, port, template, "port"),
    )
    return replace(template, left=changed) if side is Side.LEFT else replace(template, right=changed)


def _client(template: Connection, end: End, peer: Address, client: Subnet | None) -> Subnet | None:
    if client is None:
        return end.subnet
    if end.subnet is None:
        inside = client.num_addresses == 1 and client[0] == peer
        return _inside(inside, None, template, client)
    inside = client.version == end.subnet.version and client.subnet_of(end.subnet)  # type: ignore[arg-type]
    return _inside(inside, client, template, client)


def _inside(inside: bool, value: Subnet | None, template: Connection, client: Subnet) -> Subnet | None:
    if not inside:
        raise ConfigError(f'"{template.name}" does not let a peer have {client}')
    return value


def _narrowed(ours: int, asked: int | None, template: Connection, what: str) -> int:
    if asked is None:
        return ours
    if ours not in (0, asked):
        raise ConfigError(f'"{template.name}" has {what} {ours}, the peer has {asked}')
    return asked
