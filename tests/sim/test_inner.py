# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that encrypts for itself behind a gateway that encrypts for whoever is behind it, both with one peer.

inside 10.1.0.2 --- west 192.0.2.1 === east 198.51.100.7      both tunnels end at east, and are about the same two hosts

The wire is one here: that west lets the host's own IKE and ESP pass is shown in namespaces.
"""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from openswan.base.said import Said
from openswan.engine.oeevents import Learned, Verdict
from openswan.engine.oeevents import Pair as Hosts
from openswan.engine.settings import Settings
from openswan.policy.gateways import Published, reverse_name
from openswan.policy.grade import Grade
from tests.sim.pair import EAST, WEST, Inner, SimHost, rsa_key
from tests.sim.test_groups import ready
from tests.sim.test_oedns import gateway, secrets
from tests.sim.test_oegateway import HOST, INSIDE, WORLD, gateways, lan, meets

CHUNK = 10
SOON = 5.0
"""Seconds after the last cause."""
SECRET = Settings(crash_secret=b"what outlives all of it")


class Site:
    """Three plutos: the peer prefers the host itself, as its records say, and its gateway comes next."""

    def __init__(self, itself: Grade = Grade.DNSSEC) -> None:
        self.pair = pair = gateways(HOST, west=lan("10.1.0.0/16"), settings=SECRET)
        self.west, self.east, self.net = pair.west, pair.east, pair.net
        self.inside = SimHost(self.net, "inside", INSIDE, 7, secrets(rsa_key(7)), SECRET)
        self.inside.dns = dict(self.east.dns)
        host = ip_address(INSIDE)
        both = (gateway(rsa_key(7), INSIDE, itself, 10), gateway(rsa_key(1), WEST, preference=20))
        for each in (self.west, self.east, self.inside):
            each.dns[INSIDE] = Learned(host, Verdict.GATEWAYS, both, 300.0)
            each.dns[reverse_name(host)] = Published((rsa_key(7).public_key(),), itself, 300.0)
        self.numbers = 1000

    def begin(self) -> None:
        """The host has a daemon from now on, and a group of its own that is closed."""
        ready(self.inside, HOST, private=WORLD)

    def boot(self, host: SimHost) -> None:
        """A host has lost all that it knew, and begins anew."""
        host.boot()
        ready(host, lan("10.1.0.0/16") if host is self.west else HOST, private=WORLD)

    def send(self, host: SimHost, src: str, dst: str) -> Inner:
        self.numbers += 1
        packet = Inner(ip_address(src), ip_address(dst), self.numbers)
        host.klips.send(packet)
        return packet

    def arrives(self, host: SimHost, packet: Inner, within: float = 3.0) -> bool:
        return self.net.run(self.net.now + within, lambda: packet in host.klips.delivered)

    def by_itself(self) -> bool:
        """Do both ends have the host's own tunnel, and is it the one they use?"""
        state = self.east.pluto.brain.pairs.machine.pairs.get(Hosts(ip_address(EAST), ip_address(INSIDE)))
        itself = state is not None and state.gateway == ip_address(INSIDE)
        return itself and isinstance(meets(self.inside, INSIDE, EAST), Said)

    def lines(self) -> str:
        hosts = (self.west, self.east, self.inside)
        return "\n".join(line for host in hosts for line in (f"--- {host.name}", *host.lines))

    def sane(self) -> None:
        for host in (self.west, self.east, self.inside):
            host.sane()
            assert not host.clear


def test_the_host_itself_takes_the_place_of_the_gateway_that_spoke_for_it() -> None:
    site = Site()
    assert site.arrives(site.east, site.send(site.west, INSIDE, EAST)), "its daemon is not there yet"
    assert isinstance(meets(site.west, INSIDE, EAST), Said)
    site.begin()
    assert site.arrives(site.east, site.send(site.inside, INSIDE, EAST)), site.lines()
    site.net.run(site.net.now + 1.0)
    assert site.by_itself() and not isinstance(meets(site.west, INSIDE, EAST), Said), site.lines()
    assert site.arrives(site.inside, site.send(site.east, EAST, INSIDE))
    assert len(site.east.pluto.core.states.children) == 1
    site.sane()


def test_a_gateway_does_not_take_the_place_of_the_host_itself() -> None:
    """It is refused, and the host is asked whether it lives; which ends nothing as long as it does."""
    site = Site()
    site.begin()
    assert site.arrives(site.east, site.send(site.inside, INSIDE, EAST))
    site.send(site.west, INSIDE, EAST)
    site.net.run(site.net.now + 10.0)
    assert site.by_itself() and not isinstance(meets(site.west, INSIDE, EAST), Said)
    assert site.arrives(site.inside, site.send(site.east, EAST, INSIDE))
    site.sane()


def test_what_proves_less_stays_out_although_it_is_the_host_itself() -> None:
    site = Site(Grade.DNS)
    assert site.arrives(site.east, site.send(site.west, INSIDE, EAST))
    site.begin()
    site.send(site.inside, INSIDE, EAST)
    site.net.run(site.net.now + 5.0)
    assert not site.by_itself() and isinstance(meets(site.west, INSIDE, EAST), Said)
    site.sane()


def test_when_the_host_gives_it_up_its_gateway_may_speak_for_it_again() -> None:
    site = Site()
    site.begin()
    assert site.arrives(site.east, site.send(site.inside, INSIDE, EAST))
    site.inside.say("terminate", name="private")
    site.net.run(site.net.now + 1.0)
    assert site.arrives(site.east, site.send(site.west, INSIDE, EAST)), site.lines()
    assert site.arrives(site.west, site.send(site.east, EAST, INSIDE)), site.lines()
    site.sane()


def story(seed: int) -> None:
    """Any order of set-up, end and restart: then the host's own tunnel is what both ends use, and nothing was clear."""
    dice = random.Random(seed)
    site = Site()
    hosts = (site.west, site.east, site.inside)
    begun = False
    for _ in range(5):
        what = dice.randrange(6)
        if not begun and what < 2:
            site.begin()
            begun = True
        elif what < 2:
            site.inside.say("terminate", name="private")
        elif what == 2:
            site.west.say("terminate", name="private")
        elif what == 3:
            site.east.say("terminate", name="private")
        else:
            host = dice.choice(hosts if begun else hosts[:2])
            site.boot(host)
        for _ in range(dice.randrange(12)):
            site.net.run(site.net.now + dice.uniform(0.01, 0.3))
            if not begun or dice.random() < 0.2:  # what it sends before its daemon is there, or west's guess
                site.send(site.west, INSIDE, EAST)
            if begun:
                site.send(site.inside, INSIDE, EAST)
            if dice.random() < 0.5:
                site.send(site.east, EAST, INSIDE)
    if not begun:
        site.begin()
    end, came, back = site.net.now + SOON, False, False
    while site.net.now < end and not (came and back):
        came = came or site.arrives(site.east, site.send(site.inside, INSIDE, EAST), 0.2)
        back = back or site.arrives(site.inside, site.send(site.east, EAST, INSIDE), 0.2)
    assert came and back, f"seed {seed}: {came} {back}\n{site.lines()}"
    site.net.run(site.net.now + 2.0)
    assert site.by_itself(), f"seed {seed}\n{site.lines()}"
    site.sane()


@pytest.mark.parametrize("seed", range(0, 60, CHUNK))
def test_any_order_of_set_up_and_end_and_loss(seed: int) -> None:
    for each in range(seed, seed + CHUNK):
        story(each)


@pytest.mark.parametrize("seed", [782, 904])
def test_of_several_ike_sas_that_a_peer_has_lost_none_is_believed_in_longer(seed: int) -> None:
    """Both have begun at once, and one of the two is proved to be lost: the other one is asked about at once."""
    story(seed)
