# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that lose their memory or fall silent: noticed at once; strangers end nothing."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.base.said import Said, Shunt
from openswan.engine.events import Datagram, HostResolved, SendFailed
from openswan.engine.settings import Settings
from openswan.ike.v2.core import HALF_OPEN
from openswan.policy.connection import DpdAction
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from tests.sim.net import Faults, Packet
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, Pair, conn, end, make_pair, tunnel
from tests.sim.test_life import EAST_HOST, WEST_HOST

SECRET = b"kept on the disk over reboots..."


def up_pair(seed: int = 1, faults: Faults | None = None, secret: bytes = SECRET, **more: object) -> Pair:
    pair = make_pair(seed, faults or Faults(), settings=Settings(crash_secret=secret))
    west, east = tunnel(**more)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    pair.run(0.5)
    return pair


def chat(pair: Pair, seconds: float) -> None:
    for _ in range(int(seconds * 50)):
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.02)


@pytest.mark.parametrize("seed", range(4))
def test_a_rebooted_peer_is_noticed_by_the_first_packet(seed: int) -> None:
    """East only answers; after its reboot west's next packet brings the tunnel back within a fraction of a second."""
    pair = up_pair(seed)
    pair.east.boot()
    pair.east.load(tunnel()[1])
    begun = pair.net.now
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    assert pair.run(5.0, lambda: pair.up() and pair.agreed())
    assert pair.net.now - begun < 0.5
    assert any("crash detection token proves" in line for line in pair.west.lines)
    late = pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(0.5)
    assert late in pair.east.klips.delivered
    pair.sane()


def test_after_a_rekeying_the_token_is_that_of_the_new_sa() -> None:
    pair = up_pair()
    for host in (pair.west, pair.east):
        (ike,) = [it for it in host.pluto.core.states.ikes.values() if it.machine.is_established]
        host.pluto.brain.lifetimes._rekey_ike(ike)
        host.post(host.network())
        pair.run(1.0)
    pair.east.boot()
    pair.east.load(tunnel()[1])
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    assert pair.run(1.0, lambda: pair.up() and pair.agreed())


def test_with_another_secret_it_takes_the_usual_time() -> None:
    """A question is asked and asked again; nothing is torn down on the word of somebody who proves nothing."""
    pair = up_pair(retransmit_timeout=10.0)
    spis = set(pair.west.klips.by_spi)
    pair.east.settings = Settings(crash_secret=b"forgotten" * 4)
    pair.east.boot()
    pair.east.load(tunnel()[1])
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(2.0)
    assert set(pair.west.klips.by_spi) == spis
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())


def forge(pair: Pair, *notifies: Notify, header: Header | None = None) -> None:
    """A datagram in clear that claims to come from east."""
    header = header or Header(NO_SPI, NO_SPI, ExchangeType.INFORMATIONAL, Flags.INITIATOR)
    (ike,) = pair.west.pluto.core.states.ikes.values()
    pair.west.post(Datagram(ike.machine.local, ike.machine.remote, Message(header, notifies).emit()))


def test_forged_hints_cause_one_question_in_ten_seconds_and_end_nothing() -> None:
    pair = up_pair()
    spis, before = set(pair.west.klips.by_spi), len(pair.net.transcript)
    (child,) = pair.west.pluto.core.states.children.values()
    (ike,) = pair.west.pluto.core.states.ikes.values()
    local, remote = ike.machine.local, ike.machine.remote
    for _ in range(50):
        forge(pair, Notify(NotifyType.INVALID_SPI, child.spi_out.to_bytes(4, "big")))
        forge(pair, Notify(NotifyType.INVALID_SPI, b"\0\0\1"), Notify(NotifyType.QUICK_CRASH_DETECTION, bytes(32)))
        pair.west.post(SendFailed(local, remote, "Connection refused"))
        pair.run(0.02)
    assert len(pair.net.transcript) - before <= 4, "one question and its answer"
    pair.run(20.0)
    before = len(pair.net.transcript)
    forge(pair, Notify(NotifyType.INVALID_SPI, child.spi_out.to_bytes(4, "big")))
    flags = Flags.RESPONSE
    for number in range(20):
        lie = Header(ike.machine.spi_i, ike.machine.spi_r, ExchangeType.INFORMATIONAL, flags, number)
        forge(pair, Notify(NotifyType.INVALID_IKE_SPI), Notify(NotifyType.QUICK_CRASH_DETECTION, bytes(32)), header=lie)
    pair.run(20.0)
    assert len(pair.net.transcript) - before <= 2
    assert set(pair.west.klips.by_spi) == spis and pair.agreed()


def test_a_hint_about_nothing_of_ours_is_not_even_answered() -> None:
    pair = up_pair()
    before = len(pair.net.transcript)
    forge(pair, Notify(NotifyType.INVALID_SPI, b"\x12\x34\x56\x78"))
    pair.run(5.0)
    assert len(pair.net.transcript) == before


@pytest.mark.parametrize("loss", (0.0, 0.3))
def test_a_reborn_peer_that_says_nothing_about_it(loss: float) -> None:
    """Without INITIAL_CONTACT, the moment its new SA stands nothing goes to the old one any more."""
    pair = up_pair(3, Faults(loss=loss))
    pair.west.boot()
    pair.west.load(tunnel()[0])
    open_ike = pair.west.pluto.brain.keyring.ike
    pair.west.pluto.brain.keyring.ike = lambda *args: replace(open_ike(*args), initial_contact=False)  # type: ignore[method-assign]
    old = set(pair.east.klips.by_spi)
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: bool(set(pair.east.klips.by_spi) - old))
    sent = []
    for _ in range(100):
        sent.append(pair.send(pair.east, EAST_HOST, WEST_HOST))
        pair.run(0.01)
    assert pair.run(60.0, lambda: all(inner in pair.west.klips.delivered for inner in sent))
    pair.sane()


def test_restart_begins_beside_the_old_and_holds_what_cannot_go() -> None:
    pair = up_pair(dpd_delay=5.0, dpd_timeout=20.0, dpd_action=DpdAction.RESTART)
    pair.net.cut.add(pair.east.address)
    assert pair.run(30.0, lambda: "dpd-silent" in pair.west.events)
    assert len(pair.west.pluto.core.states.ikes) == 2 and pair.west.up(), "the old one still carries"
    pair.net.cut.clear()
    pair.run(30.0)
    chat(pair, 0.3)
    pair.run(1.0)
    assert pair.missing() == [] and pair.agreed()
    pair.sane()


@pytest.mark.parametrize("seed", range(8))
def test_an_outage_that_was_none_leaves_one_pair_of_sas(seed: int) -> None:
    """The peer comes back while the new attempt is under way: the older SAs go, on both sides, or the attempt does."""
    pair = make_pair(seed, settings=Settings(crash_secret=SECRET))
    pair.west.load(tunnel(dpd_delay=5.0, dpd_timeout=60.0, dpd_action=DpdAction.RESTART)[0])
    pair.east.load(tunnel()[1])
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    pair.net.cut.add(pair.east.address)
    assert pair.run(30.0, lambda: "dpd-silent" in pair.west.events)
    pair.net.cut.clear()
    pair.run(HALF_OPEN + 10.0)
    for host in (pair.west, pair.east):
        assert len(host.pluto.core.states.ikes) == 1 and len(host.klips.sas) == 2
    chat(pair, 0.2)
    pair.run(1.0)
    assert pair.missing() == []
    pair.sane()


def hide(pair: Pair, exchange: ExchangeType, response: bool) -> None:
    """The network swallows messages of one exchange, requests or responses."""

    def blocks(packet: Packet) -> bool:
        body = packet.body
        if not isinstance(body, bytes):
            return False
        header = Header.parse(body)
        return header.exchange == exchange and header.is_response is response

    pair.net.blocks = blocks


def test_a_peer_that_answers_in_time_is_not_left() -> None:
    """What was begun beside its SAs is called off, for all connections on them, and new ones are put on them again."""
    pair = make_pair(1, settings=Settings(crash_secret=SECRET))
    for n in range(3):
        left, right = end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, f"10.2.{n}.0/24", "@east")
        pair.west.load(conn(f"c{n}", left, right, dpd_delay=5.0, dpd_timeout=60.0, dpd_action=DpdAction.RESTART))
        pair.east.load(conn(f"c{n}", left, right))
    for n in range(2):
        pair.west.request("initiate", name=f"c{n}")
    assert pair.run(10.0, lambda: len(pair.west.klips.sas) == len(pair.east.klips.sas) == 4)
    (ike,) = pair.west.pluto.core.states.ikes.values()
    spis = set(pair.west.klips.by_spi)
    pair.net.cut.add(pair.east.address)
    assert pair.run(30.0, lambda: pair.west.events.count("dpd-silent") == 2)
    assert len(pair.west.pluto.core.states.ikes) == 2, "one attempt for both"
    hide(pair, ExchangeType.IKE_SA_INIT, response=True)
    pair.net.cut.clear()
    assert pair.run(30.0, lambda: pair.west.events.count("dpd-heard") == 2)
    pair.net.blocks = lambda packet: False
    pair.run(90.0)
    assert list(pair.west.pluto.core.states.ikes.values()) == [ike] and len(pair.east.pluto.core.states.ikes) == 1
    assert set(pair.west.klips.by_spi) == spis
    pair.west.request("initiate", name="c2")
    assert pair.run(10.0, lambda: len(pair.west.klips.sas) == len(pair.east.klips.sas) == 6)
    assert list(pair.west.pluto.core.states.ikes.values()) == [ike]
    pair.sane()


def test_an_attempt_that_the_peer_may_have_an_sa_of_is_not_called_off() -> None:
    """Its answer is lost again and again, while the older SAs carry traffic; it comes at last, and they go."""
    pair = up_pair(dpd_delay=5.0, dpd_action=DpdAction.RESTART, dpd_timeout=60.0)
    (old,) = pair.west.pluto.core.states.ikes.values()
    pair.net.cut.add(pair.east.address)
    assert pair.run(30.0, lambda: "dpd-silent" in pair.west.events)
    hide(pair, ExchangeType.INFORMATIONAL, response=True)
    pair.net.cut.clear()
    assert pair.run(10.0, lambda: any(i.machine.proving for i in pair.west.pluto.core.states.ikes.values()))
    hide(pair, ExchangeType.IKE_AUTH, response=True)
    pair.run(10.0)
    assert not old.doubtful and "dpd-heard" not in pair.west.events
    pair.net.blocks = lambda packet: False
    pair.run(40.0)
    for host in (pair.west, pair.east):
        assert len(host.pluto.core.states.ikes) == 1 and len(host.klips.sas) == 2
    assert old.serial not in pair.west.pluto.core.states.ikes
    chat(pair, 0.2)
    pair.run(1.0)
    assert pair.agreed() and not pair.missing()
    pair.sane()


def test_what_happens_on_the_older_ike_sa_does_not_bring_traffic_back_to_it() -> None:
    """The end that was asked anew goes on rekeying on the old one, which the other is about to leave."""
    pair = up_pair(dpd_delay=5.0, dpd_action=DpdAction.RESTART, dpd_timeout=60.0)
    (old,) = pair.east.pluto.core.states.ikes.values()
    pair.net.cut.add(pair.east.address)
    assert pair.run(30.0, lambda: "dpd-silent" in pair.west.events)
    hide(pair, ExchangeType.INFORMATIONAL, response=True)
    pair.net.cut.clear()
    assert pair.run(10.0, lambda: len(pair.east.pluto.core.states.children) == 2)
    pair.net.blocks = lambda packet: False
    (child,) = old.children.values()
    pair.east.pluto.brain.lifetimes.rekey_child(child)
    pair.east.post(pair.east.network())
    chat(pair, 1.0)
    found = pair.east.pluto.core.conns.named["net-net"]
    assert len(found.children) == 2
    owner = pair.east.pluto.core.states.children[found.owner]
    assert owner.ike is not old and found.newest_child == found.owner
    chat(pair, 10.0)
    pair.run(30.0)
    assert not pair.missing() and pair.agreed()
    for host in (pair.west, pair.east):
        assert len(host.pluto.core.states.ikes) == 1 and len(host.klips.sas) == 2
    pair.sane()


def test_a_new_sa_that_is_given_up_at_once_leaves_the_older_one_in_use() -> None:
    """Packets were held for it; they go on where they went before."""
    pair = up_pair()
    west = pair.west.pluto.brain
    (old,) = pair.west.pluto.core.states.ikes.values()
    conn_ = pair.west.pluto.core.conns.named["net-net"]
    pair.west.pluto.core.states.unshare(old)
    west.negotiator.start(conn_)
    pair.west.post(pair.west.network())
    assert pair.run(5.0, lambda: any(eroute.target is Shunt.HOLD for eroute in pair.east.klips.eroutes.values()))
    newest = max(pair.east.pluto.core.states.children.values(), key=lambda child: child.serial)
    pair.east.pluto.brain.children.close(newest)
    pair.east.post(pair.east.network())
    pair.run(3.0)
    assert all(isinstance(eroute.target, Said) for eroute in pair.east.klips.eroutes.values())
    inner = pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(1.0)
    assert inner in pair.west.klips.delivered
    pair.sane()


def test_dpdtimeout_is_how_long_silence_may_last() -> None:
    pair = up_pair(dpd_delay=4.0, dpd_timeout=12.0, dpd_action=DpdAction.HOLD)
    pair.net.cut.add(pair.west.address)
    begun = pair.net.now
    assert pair.run(60.0, lambda: not pair.east.klips.sas)
    assert 8.0 < pair.net.now - begun < 16.5
    (eroute,) = pair.east.klips.eroutes.values()
    assert eroute.target is Shunt.TRAP


def test_without_rekeying_an_expiring_child_is_deleted_on_both_sides() -> None:
    pair = up_pair(rekey=False, ipsec_lifetime=30.0, ike_lifetime=1000.0)
    for _ in range(40):
        pair.run(1.0)
        inbound = {said.spi for host in (pair.west, pair.east) for said in host.klips.sas}
        assert len(inbound) in (0, 2) or pair.agreed(), "never one-way"
    pair.sane()


# -- names ------------------------------------------------------------------------------------------------------------


def named(ttl: float = 3600.0, **more: object) -> Pair:
    pair = make_pair(1)
    pair.west.names["east.example"] = (ip_address(EAST),)
    pair.west.load(conn("net-net", end(WEST, WEST_NET, "@west"), end("east.example", EAST_NET, "@east"), **more))
    pair.east.load(conn("net-net", end(WEST, WEST_NET, "@west"), end("%defaultroute", EAST_NET, "@east")))
    pair.run(1.0)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    pair.run(0.5)
    return pair


def answer(pair: Pair, *addresses: str, ttl: float = 3600.0) -> None:
    found = tuple(map(ip_address, addresses))
    pair.west.names["east.example"] = found
    pair.west.post(HostResolved("east.example", found, "", ttl))


def test_a_list_that_is_turned_around_moves_nothing() -> None:
    pair = named()
    spis = set(pair.west.klips.by_spi)
    answer(pair, "198.51.100.8", EAST)
    answer(pair, EAST, "198.51.100.8")
    pair.run(60.0)
    assert set(pair.west.klips.by_spi) == spis and pair.agreed()


def test_a_name_is_asked_for_again_when_its_time_is_over() -> None:
    pair = named()
    answer(pair, EAST, ttl=100.0)
    looked = pair.west.pluto.brain.network.looked
    pair.run(99.0)
    before = looked["east.example"]
    pair.run(2.0)
    assert looked["east.example"] > before


def test_a_peer_that_has_moved_is_found_by_its_name() -> None:
    """Its old address falls silent; the name is looked up again and the tunnel comes up there."""
    pair = named(dpd_delay=5.0, retransmit_timeout=10.0)
    pair.east.address = ip_address("198.51.100.77")
    pair.net.hosts.pop(ip_address(EAST))
    pair.net.attach(pair.east.address, pair.east.receive)
    pair.east.post(pair.east.network())
    pair.west.names["east.example"] = (pair.east.address,)
    (first,) = pair.west.klips.eroutes.values()
    assert isinstance(first.target, Said)

    def there() -> bool:
        targets = [eroute.target for eroute in pair.west.klips.eroutes.values()]
        return any(isinstance(t, Said) and t.dst == pair.east.address for t in targets) and pair.agreed()

    assert pair.run(60.0, there), pair.west.lines[-20:]
    assert "net-net" in pair.west.guards
    chat(pair, 0.2)
    pair.run(0.5)
    assert pair.west.klips.delivered
    pair.sane()
