# SPDX-License-Identifier: GPL-2.0-or-later
"""virtual_private=, vhost: and vnet:."""

from ipaddress import ip_network

import pytest

from openswan.base.errors import ConfigError
from openswan.config.virtual import Private, is_virtual, parse_private, parse_virtual
from openswan.policy.virtual import Virtual
from tests.unit.config.conn import errors, load, one

SETUP = "\tvirtual_private=%v4:10.0.0.0/8,%v4:!10.1.0.0/16,%v6:fd00::/8\n"
TEN, HOLE, SIX = (ip_network(net) for net in ("10.0.0.0/8", "10.1.0.0/16", "fd00::/8"))


def test_private_networks() -> None:
    assert parse_private("") == Private()
    assert parse_private("%v4:10/8, %v4:!10.1.0.0/16,%v6:fd00::/8") == Private((TEN, SIX), (HOLE,))


@pytest.mark.parametrize("text", ["10.0.0.0/8", "%v4:fd00::/8", "%v5:10.0.0.0/8", "%v4:", "%v4:10.0.0.0/40"])
def test_not_a_network(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_private(text)


def test_forms() -> None:
    private = Private((TEN,), (HOLE,))
    assert parse_virtual("vhost:%priv,%no", private) == Virtual((TEN,), (HOLE,), itself=True)
    assert parse_virtual("VNET:%v4:10.0.0.0/8", Private()) == Virtual((TEN,), networks=True)
    assert len(parse_virtual("vhost:%all", Private()).allowed) == 2
    assert is_virtual("vnet:%priv") and not is_virtual("10.0.0.0/8")
    for text in ("vhost:", "vhost:%some", "vhost:%dhcp", "vhost:10.0.0.0/8", "host:%priv"):
        with pytest.raises(ConfigError):
            parse_virtual(text, private)


def test_in_a_conn() -> None:
    made = one("right=%any;rightsubnet=vhost:%priv,%no", SETUP)
    assert made.right.subnet is None and made.right.virtual == Virtual((TEN, SIX), (HOLE,), itself=True)
    made = one("right=%any;rightsubnet=vhost:%priv;type=transport")
    assert made.right.virtual is not None and not made.tunnel


def test_only_for_peers_that_may_be_anybody() -> None:
    [line] = errors("rightsubnet=vhost:%priv", SETUP)
    assert "virtual IP must only be used with %any and without client" in line
    assert "leave rightsubnets= out" in "".join(errors("right=%any;rightsubnet=vhost:%no;rightsubnets={10.0.0.0/8}"))
    [line] = map(str, load("right=%any;rightsubnet=vhost:%priv").complaints)
    assert "%priv is what virtual_private= in config setup lists, which is empty" in line
    assert "virtual_private=: 'x' is not understood" in "".join(map(str, load("", "\tvirtual_private=x\n").complaints))


def test_subnetwithin_is_any_subnet_inside_of_one() -> None:
    made = one("right=%any;rightsubnetwithin=10.0.0.0/8")
    assert made.right.subnet is None and made.right.virtual == Virtual((TEN,), networks=True)
    [line] = map(str, load("right=%any;rightsubnetwithin=10.1.2.3/8").complaints)
    assert "host bits set" in line


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("rightsubnetwithin=10.0.0.0/8", "must only be used with %any"),
        ("right=%any;rightsubnetwithin=10.0.0.0/8;rightsubnet=10.1.0.0/16", "give one of them"),
        ("right=%any;rightsubnetwithin=10.0.0.0/8;rightsubnet=vhost:%no", "both say what the peer may have"),
        ("right=%any;rightsubnetwithin=10.0.0.0/8;rightsubnets={10.1.0.0/16}", "leave rightsubnets= out"),
        ("right=%any;rightsubnetwithin=10.0.0.0/8;type=transport", "cannot handle TRANSPORT mode with subnetwithin"),
        ("right=%any;rightsubnetwithin=ten", "ten"),
    ],
)
def test_what_does_not_go_with_subnetwithin(body: str, words: str) -> None:
    assert any(words in line for line in errors(body))
