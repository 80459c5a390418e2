# SPDX-License-Identifier: GPL-2.0-or-later
"""The model in iptables' words; tests/netns/test_guard.py sees the kernel obey."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from openswan.base.errors import HostError
from openswan.engine.effects import GuardEntry
from openswan.host.guard.iptables import Contents, run
from openswan.host.guard.model import GuardModel, Held
from openswan.policy.selector import FlowKey

LAN, FAR, ALL = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"), ip_network("0.0.0.0/0")


def contents(*keys: FlowKey, pairs: bool) -> Contents:
    model = GuardModel()
    model.replace("a", Held(tuple(GuardEntry(key, "ipsec0") for key in keys)))
    return Contents(model, pairs)


def test_pairs_are_set_members_where_the_kernel_has_such_sets() -> None:
    with_pairs, without = (contents(FlowKey(LAN, FAR), pairs=pairs) for pairs in (True, False))
    assert with_pairs.pairs[4] == {"10.2.0.0/24,10.1.0.0/24"} and not with_pairs.selectors[4]
    assert without.selectors[4] == [("10.2.0.0/24", "10.1.0.0/24", "", "")] and not without.pairs[4]
    assert with_pairs.far[4] == without.far[4] == {"10.2.0.0/24"} and not with_pairs.far[6]


def test_no_set_member_has_length_zero_and_our_client_is_left_out() -> None:
    found = contents(FlowKey(LAN, ALL), pairs=True)
    nets = [ip_network(each) for each in found.far[4]]
    assert all(net.prefixlen for net in nets)
    assert sum(net.num_addresses for net in nets) == 2**32 - 256
    assert not any(net.overlaps(LAN) for net in nets)


def test_ports_read_right_both_ways() -> None:
    ((far, near, out, back), fragments) = sorted(
        contents(FlowKey(LAN, FAR, 17, 1000, 53), pairs=True).selectors[4], key=lambda row: "-f" in row[2]
    )
    assert (far, near) == ("10.2.0.0/24", "10.1.0.0/24")
    assert out == " -p 17 --sport 1000 --dport 53" and back == " -p 17 --sport 53 --dport 1000"
    assert fragments[2:] == (" -p 17 -f", " -p 17 -f")


def test_a_tool_that_fails_or_is_missing_is_named() -> None:
    with pytest.raises(HostError, match="no-such-tool"):
        run(("no-such-tool", "-x"))
    with pytest.raises(HostError, match="sh -c exit 3: status 3"):
        run(("sh", "-c", "exit 3"))


def test_open_queries_go_out_of_sockets_and_answers_never_begin_anything() -> None:
    model = GuardModel()
    model.open([FlowKey(ip_network("192.0.2.1"), ip_network("192.0.2.53"), protocol, 0, 53) for protocol in (6, 17)])
    found = Contents(model, True).open[4]
    addresses = "-s 192.0.2.1/32 -d 192.0.2.53/32"
    assert f"-A ipsec-out -m owner --socket-exists {addresses} -p 17 --sport 1024:65535 --dport 53 -j RETURN" in found
    back = "-s 192.0.2.53/32 -d 192.0.2.1/32 -p {} --sport 53 --dport 1024:65535{} -j RETURN"
    assert f"-A ipsec-in {back.format(17, '')}" in found and f"-A ipsec-in {back.format(6, ' ! --syn')}" in found
    assert len(found) == 4
