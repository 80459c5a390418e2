# SPDX-License-Identifier: GPL-2.0-or-later
"""left and right: each value's forms and refusals."""

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.errors import ConfigError
from openswan.config.ends import (
    parse_auth,
    parse_client,
    parse_clients,
    parse_host,
    parse_key,
    parse_nexthop,
    parse_sources,
)
from openswan.policy.connection import Auth, Host, HostKind


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("192.0.2.1", Host(HostKind.ADDRESS, ip_address("192.0.2.1"))),
        ("2001:db8::1", Host(HostKind.ADDRESS, ip_address("2001:db8::1"))),
        ("gw.example.org", Host(HostKind.NAME, name="gw.example.org")),
        ("gw", Host(HostKind.NAME, name="gw")),
        ("%any", Host(HostKind.ANY)),
        ("0.0.0.0", Host(HostKind.ANY)),
        ("::", Host(HostKind.ANY)),
        ("%DefaultRoute", Host(HostKind.DEFAULTROUTE)),
        ("%eth0", Host(HostKind.INTERFACE, name="eth0")),
        ("%opportunistic", Host(HostKind.OPPORTUNISTIC)),
        ("%oppo", Host(HostKind.OPPORTUNISTIC)),
        ("%group", Host(HostKind.GROUP)),
        ("%oppogroup", Host(HostKind.OPPORTUNISTIC_GROUP)),
    ],
)
def test_hosts(text: str, want: Host) -> None:
    assert parse_host(text) == want


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1.2.3", "'1.2.3' is neither an address nor a host name"),
        ("1.2.3.4/32", "is neither an address nor a host name"),
        ("a b", "is neither an address nor a host name"),
        ("a..b", "is neither an address nor a host name"),
        ("%", "'%' is neither a known % word nor a device's name"),
        ("%a/b", "'%a/b' is neither"),
        ("fe80::1%eth0", "has a scope"),
        ("x" * 300, "is neither an address nor a host name"),
    ],
)
def test_bad_hosts(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_host(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "want", "warned"),
    [
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("10/8", "10.0.0.0/8", False),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8", False),
        ("10.1.2.3/8", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3/32", False),
        ("2001:db8::/32", "2001:db8::/32", False),
        ("2001:DB8::1/32", "2001:db8::/32", True),
        ("%default", "0.0.0.0/0", False),
    ],
)
def test_clients(text: str, want: str, warned: bool) -> None:
    subnet, complaint = parse_client(text, 4)
    assert subnet == ip_network(want)
    assert complaint == (f"'{text}' has host bits set, {want} is used" if warned else "")
    assert parse_client("%default", 6)[0] == ip_network("::/0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("office", "names are not looked up here"),
        ("office/24", "is not a subnet"),
        ("10.0.0.0/8:80", "write the port in leftprotoport="),
        ("10.0.0.0/33", "is not a subnet: mask length over 32"),
    ],
)
def test_bad_clients(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_client(text, 4)
    assert why in str(caught.value)


def test_many_clients() -> None:
    nets, warned = parse_clients("10.0.0.0/8,10.1.2.3/16  2001:db8::/32")
    assert [str(net) for net in nets] == ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]
    assert len(warned) == 1
    assert parse_clients("{ 10.0.0.0/8 }")[0] == (ip_network("10.0.0.0/8"),)
    with pytest.raises(ConfigError, match="the list is empty"):
        parse_clients(" , ")
    with pytest.raises(ConfigError, match="5000 subnets, at most 4096"):
        parse_clients("10.0.0.0/8 " * 5000)


def test_sources() -> None:
    assert parse_sources("10.0.0.1") == (ip_address("10.0.0.1"),)
    assert parse_sources("10.0.0.1, 2001:db8::1") == (ip_address("10.0.0.1"), ip_address("2001:db8::1"))
    with pytest.raises(ConfigError, match="at most one address of each family"):
        parse_sources("10.0.0.1 10.0.0.2")
    with pytest.raises(ConfigError, match="'x' is not a numeric IP address"):
        parse_sources("x")


def test_nexthop() -> None:
    assert parse_nexthop("%direct") is None and parse_nexthop("%defaultroute") is None
    assert parse_nexthop("10.0.0.1") == ip_address("10.0.0.1")
    with pytest.raises(ConfigError, match="neither an address nor %direct nor %defaultroute"):
        parse_nexthop("router")


def test_keys() -> None:
    octets = b"\x03\x01\x00\x01" + b"\xc1" + b"\x00" * 126 + b"\x01"
    assert parse_key("0x" + octets.hex()) == octets
    for text, why in (
        ("0x0102", "not an RSA public key: RSA public key is cut short"),
        ("0s!!", "data after 0s is not base64"),
        ("AQID", "data must begin with 0x"),
        ("0x03010001" + "c1" * 8 + "01", "RSA modulus of 72 bits"),
    ):
        with pytest.raises(ConfigError, match=why):
            parse_key(text)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("secret", Auth.PSK),
        ("rsasig", Auth.RSASIG),
        ("secret|rsasig", Auth.PSK | Auth.RSASIG),
        ("rsasig, ECDSA", Auth.RSASIG | Auth.ECDSA),
        ("rsa-sha2_512", Auth.RSASIG),
        ("ecdsa-sha2_256", Auth.ECDSA),
        ("eddsa", Auth.EDDSA),
        ("eap-mschapv2", Auth.EAP_MSCHAPV2),
        ("eap_tls", Auth.EAP_TLS),
        ("eap", Auth.EAP_TLS | Auth.EAP_MSCHAPV2),
        ("eaponly", Auth.EAP_ONLY),
        ("null", Auth.NULL),
        ("rsasig,null", Auth.RSASIG | Auth.NULL),
        ("never", Auth.NEVER),
    ],
)
def test_auth(text: str, want: Auth) -> None:
    assert parse_auth(text) == want


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("never,secret", "never excludes all others"),
        ("magic", "invalid value: magic"),
        ("", "invalid value: "),
    ],
)
def test_bad_auth(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_auth(text)
    assert why in str(caught.value)
