# SPDX-License-Identifier: GPL-2.0-or-later
"""What a peer with a virtual client may have."""

from ipaddress import ip_network

import pytest

from openswan.policy.selector import Selector
from openswan.policy.virtual import Virtual


def sel(net: str, **more: int) -> Selector:
    return Selector.of(ip_network(net), **more)


TEN, HOLE = ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16")


@pytest.mark.parametrize(
    ("networks", "client", "fits"),
    [
        (False, "10.2.3.4/32", True),
        (False, "10.2.0.0/16", False),
        (False, "10.1.2.3/32", False),
        (False, "192.168.0.1/32", False),
        (True, "10.2.0.0/16", True),
        (True, "10.0.0.0/8", False),
        (True, "0.0.0.0/0", False),
        (True, "fd00::/8", False),
    ],
)
def test_fits(networks: bool, client: str, fits: bool) -> None:
    assert Virtual((TEN,), (HOLE,), networks=networks).fits(sel(client)) == fits


def test_our_own_client_is_never_theirs() -> None:
    virtual = Virtual((TEN,), networks=True)
    proposed = [sel("10.1.2.3/32", protocol=6, port=80), sel("10.2.0.0/16", protocol=6)]
    assert virtual.choose(proposed, sel("10.1.0.0/16")) == proposed[1]
    assert virtual.choose(proposed, sel("192.168.0.0/24")) == proposed[0]
    assert virtual.choose(proposed, sel("10.0.0.0/8")) is None
