# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways speak IKEv1: tunnels come up, are renewed, die and are closed, over good networks and bad ones."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.base.said import Said, Shunt
from openswan.engine.events import SendFailed
from openswan.engine.statedb import IkeState
from openswan.ike.v1 import informational
from openswan.ike.v1.quick import OVERDUE
from openswan.ike.v1.quickmodes import SETTLE
from openswan.ike.v1.sa import IsakmpSa
from openswan.ike.v1.succession import LINGER
from openswan.plane.commands import Direction
from openswan.plane.events import SaExpired
from openswan.policy.connection import DpdAction
from openswan.policy.proposal import Transform
from tests.sim.net import Faults
from tests.sim.pair import EAST, OUTSIDE, WEST, Pair, SimHost
from tests.sim.test_rekey import EAST_HOST, WEST_HOST, owner, traffic
from tests.sim.v1 import v1_pair, v1_tunnel, v1_up

BAD = Faults(loss=0.2, delay=(0.005, 0.06), reorder=0.1, duplicate=0.1)
HEX = re.compile(r"0x[0-9a-f]{8}|msgid:[0-9a-f]{8}")


def lines(host: SimHost, *words: str) -> list[str]:
    return [HEX.sub("*", line) for line in host.lines if any(word in line for word in words)]


def isakmp(host: SimHost) -> list[IkeState]:
    """Those that are neither closing nor on the way."""
    return [one for one in host.pluto.core.states.ikes.values() if one.established is not None and not one.closing]


def both_ways(pair: Pair) -> None:
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(0.2)
    assert pair.missing() == []


def test_the_words_of_a_tunnel_that_comes_up() -> None:
    pair = v1_up()
    both_ways(pair)
    chosen = "{auth=OAKLEY_PRESHARED_KEY cipher=aes_128 prf=sha1 group=ecp256}"
    sa = "tunnel mode {ESP=>* <* xfrm=AES_CBC_128-HMAC_SHA1_96 NATOA=none NATD=none DPD=none}"
    assert lines(pair.west, "initiat", "STATE_", "established") == [
        '"net-net" #1: initiating Main Mode',
        '"net-net" #1: STATE_MAIN_I1: initiate',
        '"net-net" #1: transition from state STATE_MAIN_I1 to state STATE_MAIN_I2',
        '"net-net" #1: STATE_MAIN_I2: sent MI2, expecting MR2',
        '"net-net" #1: transition from state STATE_MAIN_I2 to state STATE_MAIN_I3',
        '"net-net" #1: STATE_MAIN_I3: sent MI3, expecting MR3',
        '"net-net" #1: transition from state STATE_MAIN_I3 to state STATE_MAIN_I4',
        f'"net-net" #1: STATE_MAIN_I4: ISAKMP SA established {chosen}',
        '"net-net" #2: initiating Quick Mode PSK+ENCRYPT+TUNNEL+PFS+UP {using isakmp#1 *'
        " proposal=aes_cbc_128-hmac_sha1_96 pfsgroup=OAKLEY_GROUP_ECP256}",
        '"net-net" #2: STATE_QUICK_I1: initiate',
        '"net-net" #2: transition from state STATE_QUICK_I1 to state STATE_QUICK_I2',
        f'"net-net" #2: STATE_QUICK_I2: sent QI2, IPsec SA established {sa}',
    ]
    assert lines(pair.east, "respond", "established") == [
        '"net-net" #1: responding to Main Mode',
        f'"net-net" #1: STATE_MAIN_R3: sent MR3, ISAKMP SA established {chosen}',
        '"net-net" #2: responding to Quick Mode proposal {*}',
        f'"net-net" #2: STATE_QUICK_R2: IPsec SA established {sa}',
    ]
    codes = [code for code, _ in pair.west.whack[pair.west.client]]
    assert [code for code in codes if code >= 100 or code == 4] == [104, 106, 108, 4, 117, 4]
    pair.sane()


def test_the_words_of_a_pair_that_is_replaced() -> None:
    pair = v1_up(ipsec_lifetime=100.0, rekey_margin=50.0, rekey_fuzz=0.0)
    del pair.west.lines[:], pair.east.lines[:]
    pair.run(75.0)
    assert lines(pair.west, "rekeying", "initiat")[:3] == [
        '"net-net" #2: rekeying state (STATE_QUICK_I2)',
        '"net-net" #3: initiating Quick Mode PSK+ENCRYPT+TUNNEL+PFS+UP to replace #2 {using isakmp#1 *'
        " proposal=aes_cbc_128-hmac_sha1_96 pfsgroup=OAKLEY_GROUP_ECP256}",
        '"net-net" #3: STATE_QUICK_I1: initiate',
    ]
    assert len(lines(pair.west, "rekeying")) == 1 and not lines(pair.east, "rekeying"), "no word of what is replaced"
    assert lines(pair.east, "respond")[0] == '"net-net" #3: responding to Quick Mode proposal {*}'
    assert lines(pair.east, "Delete")[0] == '"net-net" #1: received Delete SA(*) payload: deleting IPSEC State #2'
    assert not lines(pair.west, "child SA", "IKE SA") and not lines(pair.east, "child SA", "IKE SA")


def test_the_words_of_a_pair_that_the_peer_deletes_and_we_want() -> None:
    pair = v1_up()
    [ike] = isakmp(pair.east)
    assert isinstance(ike.machine, IsakmpSa)
    informational.delete(ike.machine, ike.machine.children.values())
    pair.east.pluto.brain.ikes.run(ike, ike.machine.drain())
    pair.east.post(pair.east.network())
    pair.run(0.5)
    assert re.sub(r" in \d+ seconds", " in N seconds", "|".join(lines(pair.west, "Delete"))).split("|") == [
        '"net-net" #1: received Delete SA(*) payload: deleting IPSEC State #2',
        '"net-net": received Delete SA payload: replace IPSEC State #2 in N seconds',
    ]
    assert pair.run(60.0, pair.west.up)


@pytest.mark.parametrize(("rekey", "why"), [(False, "--dontrekey"), (True, "LATEST!")])
@pytest.mark.parametrize(("child", "ike", "line"), [(60.0, 90.0, "#2: IPsec SA"), (90.0, 60.0, "#1: ISAKMP SA")])
def test_the_words_of_an_sa_that_comes_to_its_end(rekey: bool, why: str, child: float, ike: float, line: str) -> None:
    pair = v1_up(ipsec_lifetime=child, ike_lifetime=ike, rekey=rekey, rekey_margin=20.0)
    pair.net.cut.add(pair.west.address)
    pair.run(70.0)
    assert f'"net-net" {line} expired ({why})' in pair.west.lines


def test_status_says_the_classic_states() -> None:
    pair = v1_up()
    status = [text for _, text in pair.west.say("status") if text.startswith("#")]
    assert re.fullmatch(
        r'#1: "net-net":500 IKEv1.0 STATE_MAIN_I4 \(ISAKMP SA established\); EVENT_SA_REPLACE in [0-9]+s; '
        r"newest ISAKMP; lastdpd=1s\(seq in:0 out:0\); idle; import:admin initiate",
        status[0],
    )
    assert "STATE_QUICK_I2 (sent QI2, IPsec SA established); EVENT_SA_REPLACE in" in status[1]
    assert "; newest IPSEC; eroute owner; isakmp#1; idle; import:admin initiate" in status[1]
    found = [text for _, text in pair.east.say("status")]
    assert any("STATE_MAIN_R3 (sent MR3, ISAKMP SA established)" in text for text in found)
    assert any("STATE_QUICK_R2 (IPsec SA established)" in text for text in found)


def states(host: SimHost) -> list[str]:
    return [text for _, text in host.say("status") if re.match(r"#[0-9]+: ", text)]


def test_status_says_what_is_under_way() -> None:
    pair = v1_pair()
    west, east = v1_tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert states(pair.west) == [
        '#1: "net-net":500 IKEv1.0 STATE_MAIN_I1 (sent MI1, expecting MR1); EVENT_RETRANSMIT in 0s; '
        "lastdpd=-1s(seq in:0 out:0); idle; import:admin initiate",
        '#1: pending Phase 2 for "net-net" replacing #0',
    ]
    pair.net.blocks = lambda packet: any("STATE_QUICK_R1" in line for line in pair.east.lines)
    pair.run(1.0)
    assert re.fullmatch(
        r'#2: "net-net":500 IKEv1.0 STATE_QUICK_I1 \(sent QI1, expecting QR1\); EVENT_RETRANSMIT in [0-9]+s; nodpd; '
        "idle; import:admin initiate",
        states(pair.west)[1],
    )
    assert re.fullmatch(
        r'#2: "net-net":500 IKEv1.0 STATE_QUICK_R1 \(sent QR1, expecting QI2\); EVENT_RETRANSMIT in [0-9]+s; nodpd; '
        "idle; import:respond to stranger",
        states(pair.east)[1],
    )


@pytest.mark.parametrize("rsa", [False, True])
@pytest.mark.parametrize("pfs", [False, True])
def test_by_either_proof_with_and_without_pfs(rsa: bool, pfs: bool) -> None:
    pair = v1_up(rsa=rsa, pfs=pfs)
    both_ways(pair)
    (child,) = pair.west.pluto.core.states.children.values()
    assert child.chosen.dh == (Transform("ecp256") if pfs else None)
    assert ("OAKLEY_RSA_SIG" if rsa else "OAKLEY_PRESHARED_KEY") in str(isakmp(pair.east)[0].machine.chosen)
    pair.sane()


@pytest.mark.parametrize("rsa", [False, True])
def test_aggressive_mode(rsa: bool) -> None:
    pair = v1_up(rsa=rsa, aggressive=True)
    both_ways(pair)
    assert any("STATE_AGGR_I2: sent AI2, ISAKMP SA established" in line for line in pair.west.lines)
    assert any("STATE_AGGR_R2: ISAKMP SA established" in line for line in pair.east.lines)
    assert rsa or any("guess the key offline" in line for line in pair.west.lines)
    pair.sane()


def test_aggressive_mode_is_not_answered_where_it_is_not_wanted() -> None:
    pair = v1_pair()
    pair.west.load(v1_tunnel(aggressive=True, keying_tries=1, retransmit_timeout=4.0)[0])
    pair.east.load(v1_tunnel()[1])
    client = pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: client in pair.west.finished)
    assert not pair.up() and pair.east.empty()
    assert any("initial Aggressive Mode message received" in line for line in pair.east.lines)


def test_another_preshared_key() -> None:
    from tests.sim.pair import make_pair, psk

    pair = make_pair(1, east_secrets=psk("@east", "@west", b"another phrase"))
    west, east = v1_tunnel(keying_tries=1, retransmit_timeout=5.0)
    pair.west.load(west)
    pair.east.load(east)
    client = pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: client in pair.west.finished)
    text = "Possible authentication failure: no acceptable response to our first encrypted message"
    assert any("max number of retransmissions" in line and text in line for _, line in pair.west.whack[client])
    assert any("probable authentication failure (mismatch of preshared secrets?)" in line for line in pair.east.lines)
    assert pair.run(120.0, lambda: pair.west.empty() and pair.east.empty())
    pair.sane()


def test_nobody_answers() -> None:
    pair = v1_pair()
    pair.west.load(v1_tunnel(keying_tries=1, retransmit_timeout=5.0)[0])
    client = pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: client in pair.west.finished)
    code, text = next(row for row in pair.west.whack[client] if "max number" in row[1])
    words = "reached STATE_MAIN_I1.  No response (or no acceptable response) to our first IKE message"
    assert code == 31 and words in text
    assert pair.west.empty()


@pytest.mark.parametrize("tries", [1, 3, 0])
def test_keyingtries(tries: int) -> None:
    pair = v1_pair()
    pair.west.load(v1_tunnel(keying_tries=tries, retransmit_timeout=3.0)[0])
    client = pair.west.request("initiate", name="net-net")
    pair.run(600.0)
    begun = len(lines(pair.west, "initiating Main Mode"))
    assert begun == tries if tries else begun > 4
    told = [text for _, text in pair.west.whack[client] if "starting keying attempt" in text]
    number = f"at most {tries}" if tries else "an unlimited number"
    assert told == ([] if tries == 1 else [f'"net-net" #2: starting keying attempt 2 of {number}, but releasing whack'])
    assert pair.west.empty() or not tries


def test_nobody_listens() -> None:
    pair = v1_pair()
    pair.west.load(v1_tunnel(keying_tries=1, retransmit_timeout=5.0)[0])
    pair.west.request("initiate", name="net-net")
    why = f"complainant {EAST}: Connection refused [errno 111, origin ICMP type 3 code 3 (not authenticated)]"
    here, there = (Endpoint(parse_address(address), 500) for address in (WEST, EAST))
    pair.west.post(SendFailed(here, there, why))
    pair.west.post(SendFailed(here, there, why))
    report = f"ERROR: asynchronous network error report on eth0 (sport=500) for message to {EAST} port 500, {why}"
    remedy = f"packet from {EAST}: likely cause: the host is there, but nothing listens for IKE on it"
    assert pair.west.lines[-3] == pair.west.lines[-1] == report and pair.west.lines[-2].startswith(remedy)
    assert isakmp(pair.west) == [] and len(pair.west.pluto.core.states.ikes) == 1, "a hint only"


@pytest.mark.parametrize("rsa", [False, True])
def test_behind_a_nat(rsa: bool) -> None:
    pair = v1_up(nat=True, rsa=rsa)
    both_ways(pair)
    (child,) = pair.east.pluto.core.states.children.values()
    assert child.encap is not None and str(child.remote.address) == OUTSIDE
    assert isakmp(pair.west)[0].machine.nat_here and isakmp(pair.east)[0].machine.nat_there
    assert any(f"{{ESP/NAT=>* <* xfrm=AES_CBC_128-HMAC_SHA1_96 NATOA=none NATD={EAST}:4500" in line
               for line in lines(pair.west, "established tunnel"))  # fmt: skip
    pair.run(60.0)
    assert pair.west.keepalives >= 2
    pair.sane()


def test_a_nat_with_another_mapping_is_followed_by_packets() -> None:
    """The first one from the new place shows the way back (RFC 3947 4)."""
    pair = v1_up(nat=True)
    for number in range(3):
        pair.net.nats[ip_address(OUTSIDE)].rebind()
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.run(0.5)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.5)
        assert pair.missing() == [] and pair.east.klips.history.count("MoveSa") == 2 * (number + 1)
    pair.sane()


def test_a_nat_with_another_mapping_is_followed_by_dead_peer_detection() -> None:
    """Nothing else goes, and the end outside knows the way when it has something to say."""
    pair = v1_up(nat=True, dpd_delay=10.0)
    pair.net.nats[ip_address(OUTSIDE)].rebind()
    pair.run(30.0)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(0.5)
    assert pair.missing() == []
    [child] = pair.east.pluto.core.states.children.values()
    assert child.remote == isakmp(pair.east)[0].machine.remote
    pair.sane()


def test_encapsulation_yes_claims_a_nat() -> None:
    pair = v1_up(encapsulation="yes")
    both_ways(pair)
    for host in (pair.west, pair.east):
        (child,) = host.pluto.core.states.children.values()
        assert child.encap is not None


def test_down_says_so_to_the_peer() -> None:
    pair = v1_up()
    client = pair.west.request("terminate", name="net-net")
    pair.run(1.0)
    assert client in pair.west.finished
    assert any("received Delete SA(*) payload: deleting IPSEC State" in line for line in lines(pair.east, "Delete"))
    assert any("received Delete SA payload: deleting ISAKMP State #1" in line for line in pair.east.lines)
    pair.run(10.0)
    assert pair.west.empty() and pair.east.empty()
    assert all(not isinstance(e.target, Said) for h in (pair.west, pair.east) for e in h.klips.eroutes.values())
    pair.sane()


@pytest.mark.parametrize("action", [DpdAction.HOLD, DpdAction.CLEAR, DpdAction.RESTART, DpdAction.RESTART_BY_PEER])
def test_a_dead_peer(action: DpdAction) -> None:
    pair = v1_up(dpd_delay=10.0, dpd_timeout=30.0, dpd_action=action)
    assert "DPD=enabled" in lines(pair.east, "IPsec SA established")[0]
    pair.net.cut.add(pair.west.address)
    assert pair.run(90.0, lambda: any("declaring peer dead" in line for line in pair.east.lines))
    assert any("DPD: No response from peer - declaring peer dead" in line for line in pair.east.lines)
    pair.run(1.0)
    assert not pair.east.up() and pair.east.guards, "what was protected stays so"
    words = {DpdAction.HOLD: "Putting connection into %trap", DpdAction.CLEAR: "Clearing Connection"}
    said = words.get(action, "Restarting Connection")
    assert any(f"DPD: {said}" in line for line in pair.east.lines) or any(
        "beginning anew" in x for x in pair.east.lines
    )
    pair.net.cut.clear()
    if action is DpdAction.HOLD:
        (eroute,) = pair.east.klips.eroutes.values()
        assert eroute.target is Shunt.TRAP
        pair.send(pair.east, EAST_HOST, WEST_HOST)
    if action is DpdAction.CLEAR:
        return
    assert pair.run(120.0, lambda: pair.up() and pair.agreed() and not pair.missing())
    pair.sane()


def test_a_peer_that_lives_is_asked_and_nothing_else_happens() -> None:
    pair = v1_up(dpd_delay=5.0, dpd_timeout=20.0)
    keys = pair.west.klips.keys(Direction.IN)
    pair.run(120.0)
    assert pair.west.klips.keys(Direction.IN) == keys and pair.up()
    asked = [one for one in pair.net.transcript if one[0] > 5.0]
    assert 40 <= len(asked) <= 110, "a question and its answer every five seconds, by one end or both"


def test_a_peer_reborn_takes_the_place_of_what_it_was() -> None:
    """INITIAL_CONTACT: what it had is gone at once, and nothing goes one way."""
    pair = v1_up()
    pair.west.boot()
    pair.west.load(v1_tunnel()[0])
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, lambda: pair.up() and pair.agreed())
    both_ways(pair)
    pair.run(SETTLE + 2)
    assert len(pair.east.klips.sas) == 2 and len(isakmp(pair.east)) == 1
    pair.sane()


def test_both_kinds_of_sa_are_renewed_and_no_packet_is_lost() -> None:
    pair = v1_up(ipsec_lifetime=60.0, ike_lifetime=150.0, rekey_margin=25.0, rekey_fuzz=0.5)
    updowns = list(pair.west.updowns)
    first = [owner(host) for host in (pair.west, pair.east)]
    traffic(pair, 400.0)
    pair.run(2.0)
    assert pair.missing() == []
    assert [owner(pair.west) > first[0], owner(pair.east) > first[1]] == [True, True]
    assert pair.west.updowns == updowns, "nothing for those that follow"
    replaced = lines(pair.west, "to replace #") + lines(pair.east, "to replace #")
    assert len(replaced) >= 2
    assert any("STATE_MAIN_I1: initiate, replacing #1" in line for line in (*pair.west.lines, *pair.east.lines))
    assert all(len(host.klips.sas) <= 8 and len(isakmp(host)) == 1 for host in (pair.west, pair.east))
    pair.run(LINGER + 1, lambda: all(len(h.pluto.core.states.ikes) == 1 for h in (pair.west, pair.east)))
    assert [len(host.pluto.core.states.ikes) for host in (pair.west, pair.east)] == [1, 1]
    pair.sane()


def test_traffic_stays_where_the_peer_can_read_it_while_our_last_message_gets_lost() -> None:
    """One way only, so that the peer cannot show by its packets that it has the new pair."""
    pair = v1_up()
    before = pair.west.klips.keys(Direction.IN)
    pair.west.request("initiate", name="net-net")
    assert pair.run(1.0, lambda: pair.west.klips.keys(Direction.IN) != before)
    pair.net.cut.add(pair.east.address)  # QI2 is under way, and so is nothing else
    pair.run(0.05)
    pair.net.cut.clear()
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes) and packet.src.address == pair.west.address
    for _ in range(12):
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.run(1.0)
    assert pair.missing() == []
    pair.net.blocks = lambda packet: False
    pair.run(SETTLE)
    both_ways(pair)
    assert pair.agreed()


def test_up_of_what_is_up_makes_a_fresh_pair() -> None:
    pair = v1_up()
    keys = pair.west.klips.keys(Direction.IN)
    client = pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: client in pair.west.finished)
    pair.run(SETTLE + 6)
    assert len(pair.west.klips.sas) == 2 and not keys & pair.west.klips.keys(Direction.IN)
    both_ways(pair)


@pytest.mark.parametrize("short", ["west", "east"])
def test_a_shorter_life_without_rekeying_never_ends_one_way(short: str) -> None:
    """Lives are agreed on: what ends at one end ends at the other."""
    pair = v1_pair()
    west, east = v1_tunnel()
    brief, _ = v1_tunnel(rekey=False, ipsec_lifetime=30.0, ike_lifetime=45.0)
    cut = {"rekey": False, "ipsec_lifetime": 30.0, "ike_lifetime": 45.0}
    pair.west.load(replace(west, **cut) if short == "west" else west)
    pair.east.load(replace(east, **cut) if short == "east" else east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up) and brief.name == "net-net"
    for _ in range(200):
        pair.run(1.0)
        if not pair.agreed():
            pair.run(6.0)
            assert pair.agreed() or not (pair.west.up() or pair.east.up()), pair.net.now
    pair.run(10.0, lambda: pair.up() and pair.agreed())
    assert pair.up() and pair.agreed()
    pair.sane()


@pytest.mark.parametrize("seed", range(6))
def test_a_shorter_life_without_rekeying_never_ends_one_way_when_every_delete_gets_lost(seed: int) -> None:
    """Each end keeps to what was agreed by its own clock: nobody has to be told."""
    pair = v1_pair(seed, BAD)
    west, east = v1_tunnel(retransmit_timeout=20.0)
    pair.west.load(west if seed % 2 else replace(west, rekey=False, ipsec_lifetime=30.0))
    pair.east.load(replace(east, rekey=False, ipsec_lifetime=30.0) if seed % 2 else east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    start = pair.net.now
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes)
    pair.run(32.0)
    first = [list(host.klips.sas.values()) for host in (pair.west, pair.east)]
    assert first == [[], []] and pair.net.now - start < 35.0
    pair.net.blocks = lambda packet: False
    traffic(pair, 20.0, 1.0)
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())


@pytest.mark.parametrize("short", ["west", "east"])
def test_kilobytes_are_agreed_on_and_both_ends_keep_to_them(short: str) -> None:
    """Who asks for fewer gets them, by its proposal or by RESPONDER_LIFETIME; the SAs are replaced before that."""
    pair = v1_pair()
    west, east = v1_tunnel(max_bytes=50 * 1024)
    less = {"west": west, "east": east}[short]
    for host, policy in ((pair.west, west), (pair.east, east)):
        host.load(replace(policy, max_bytes=20 * 1024 + 7) if policy is less else policy)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    for host, least, most in ((pair.west, 0.70, 0.80), (pair.east, 0.85, 0.90)):
        for sa in host.klips.sas.values():
            exact = 20 * 1024 + 7 if host.name == short else 20 * 1024
            assert sa.life.hard_bytes in (exact, 20 * 1024)
            assert least <= sa.life.soft_bytes / sa.life.hard_bytes <= most
    used = next(iter(pair.west.klips.sas))
    pair.west.post(SaExpired(used, hard=False))
    pair.run(SETTLE + OVERDUE)
    assert used not in pair.west.klips.sas and pair.up() and pair.agreed()
    both_ways(pair)


def test_an_sa_that_has_carried_all_it_may_ends_at_both_ends() -> None:
    pair = v1_up(max_bytes=50 * 1024, rekey=False)
    old = set(pair.west.klips.sas)
    out = next(said for said, sa in pair.west.klips.sas.items() if sa.direction is Direction.OUT)
    pair.west.post(SaExpired(out, hard=True))
    assert pair.run(20.0, lambda: pair.up() and pair.agreed() and not old & set(pair.west.klips.sas))
    both_ways(pair)


@pytest.mark.parametrize("seed", range(6))
def test_over_a_network_that_loses_a_fifth(seed: int) -> None:
    pair = v1_up(seed, BAD, nat=seed % 3 == 0, rsa=seed == 1, retransmit_timeout=20.0)
    both_ways(pair)
    pair.sane()


@pytest.mark.parametrize("seed", range(8))
def test_both_ends_begin_at_once(seed: int) -> None:
    """Two ISAKMP SAs come up: both ends keep the same one, and one pair of IPsec SAs at the end."""
    pair = v1_pair(seed, Faults(loss=0.1 * (seed % 3), delay=(0.02, 0.05)))
    west, east = v1_tunnel(ike_lifetime=7200.0)
    for host, policy in ((pair.west, west), (pair.east, east)):
        host.load(policy)
    for host in (pair.west, pair.east):
        host.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    for _ in range(20):
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.5)
    assert pair.missing() == []
    pair.run(LINGER + SETTLE + OVERDUE)
    assert pair.up() and pair.agreed()
    assert len(pair.west.klips.sas) == len(pair.east.klips.sas) == 2
    cookies = [{one.machine.spi_i + one.machine.spi_r for one in isakmp(host)} for host in (pair.west, pair.east)]
    assert cookies[0] == cookies[1] and len(cookies[0]) == 1
    pair.sane()
