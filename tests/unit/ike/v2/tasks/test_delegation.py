# SPDX-License-Identifier: GPL-2.0-or-later
"""A first child for a host behind the peer waits until the DNS has said who that host's gateways are."""

from __future__ import annotations

from ipaddress import ip_network

from openswan.ike.effects import Work
from openswan.ike.later import GatewaysJob, KeysJob
from openswan.policy.gateways import Published
from openswan.policy.grade import Grade
from openswan.policy.selector import Selector
from tests.unit.ike.pair import Pair, child_policy
from tests.unit.ike.v2.tasks.test_auth import key, public, raw

HOST, NET = ip_network("10.1.0.2/32"), ip_network("10.1.0.0/24")


def asking(net: object, published: bool = True) -> Pair:
    """An initiator that wants a tunnel for `net`; the responder has its key from the DNS already."""
    far = (Selector.of(ip_network("10.2.0.0/24")),)
    mine = (Selector.of(net),)  # type: ignore[arg-type]
    more = {"peer_keys": (), "peer_published": True} if published else {}
    first, second = key("rsa", 1), key("rsa", 2)
    west, east = raw("@a", "@b", first, (public(second),)), raw("@b", "@a", second, (public(first),), **more)
    pair = Pair(west, east, child=child_policy(mine=mine, theirs=far))
    pair.b.ask.dns = [Published((key("rsa", 1).public_key(),), Grade.DNSSEC, 60.0)]
    return pair


def test_one_host_is_looked_up_before_anything_is_answered() -> None:
    pair = asking(HOST)
    pair.start()
    pair.run()
    (work,) = pair.b.seen(Work)
    assert work.job == GatewaysJob(HOST.network_address)
    assert str(work.job) == "the DNS to say who the gateways of 10.1.0.2 are"
    assert not pair.b.sa.is_established
    pair.b.do(pair.b.sa, pair.b.sa.resume(work.job, b"", pair.now))
    pair.run()
    pair.agree()
    assert pair.b.sa.is_established and pair.b.sa.peer_key and pair.b.ask.child_questions


def test_what_is_known_or_no_single_host_is_not_asked_for() -> None:
    for net, known, published in ((HOST, True, True), (NET, False, True), (HOST, False, False)):
        pair = asking(net, published)
        if known:
            pair.b.ask.gateways = {HOST.network_address}
        pair.start()
        pair.run()
        pair.agree()
        jobs = [work.job for work in pair.b.seen(Work)]
        assert not [job for job in jobs if not isinstance(job, KeysJob)]
