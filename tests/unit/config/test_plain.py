# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections through the control socket and back; bad requests."""

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from openswan.base.errors import ConfigError
from openswan.config.plain import connection_from_plain, connection_to_plain
from openswan.policy.connection import Auth, Connection, End, Host, HostKind, Startup
from openswan.policy.identity import parse_identity
from openswan.policy.proposal import Proposal, Transform

FULL = Connection(
    "a-b",
    End(
        Host(HostKind.ADDRESS, ip_address("2001:db8::1")),
        id=parse_identity("C=CA, CN=*"),
        subnet=ip_network("2001:db8:1::/48"),
        protocol=6,
        port=80,
        source_ips=(ip_address("192.0.2.1"), ip_address("2001:db8:1::1")),
        rsa_keys=(b"\x03\x01\x00\x01\xff",),
        cert=b"\x30\x00",
    ),
    End(Host(HostKind.NAME, name="gw.example.org")),
    aliases=("x", "y"),
    auth=Auth.PSK | Auth.ECDSA,
    ike_proposals=(Proposal(1, (Transform("aes_cbc", 256),), dh=(Transform("dh31"),)),),
    rekey_fuzz=0.5,
    startup=Startup.START,
)
SMALL: dict[str, Any] = {"name": "x", "left": {"host": {"kind": "ANY"}}, "right": {"host": {"kind": "ANY"}}}


def test_there_and_back() -> None:
    assert connection_from_plain(json.loads(json.dumps(connection_to_plain(FULL)))) == FULL


def test_defaults_are_left_out() -> None:
    small = connection_from_plain(SMALL)
    assert connection_to_plain(small) == SMALL


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": ""}, "name is empty"),
        ({"name": 3}, "connection.name: '3' is not what belongs there"),
        ({"colour": 1}, "unknown field 'colour'"),
        ({"left": None}, "connection.left: an object belongs there"),
        ({"left": {}}, "connection.left: field 'host' is missing"),
        ({"left": {"host": {"kind": "NOBODY"}}}, "connection.left.host.kind: 'NOBODY'"),
        ({"left": {"host": {"kind": "ADDRESS", "address": "1.2.3"}}}, "connection.left.host.address"),
        ({"left": {"host": {"kind": "ANY"}, "cert": "xyz"}}, "connection.left.cert"),
        ({"left": {"host": {"kind": "ANY"}, "id": {"kind": True, "body": ""}}}, "connection.left.id.kind"),
        ({"auth": "PSK"}, "connection.auth"),
        ({"auth": ["WISH"]}, "connection.auth"),
        ({"pfs": 1}, "connection.pfs"),
        ({"metric": 1.5}, "connection.metric"),
        ({"metric": True}, "connection.metric"),
        ({"aliases": "x"}, "connection.aliases: a list"),
        ({"aliases": ["x"] * 5000}, "connection.aliases: a list of at most"),
        ({"aliases": [1]}, "connection.aliases[0]"),
    ],
)
def test_bad_input(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connection_from_plain({**SMALL, **change})
    assert complaint in str(caught.value)


@pytest.mark.parametrize("plain", [None, [], "x", 3])
def test_not_even_an_object(plain: object) -> None:
    with pytest.raises(ConfigError):
        connection_from_plain(plain)
