# SPDX-License-Identifier: GPL-2.0-or-later
"""What status shows during the life of a tunnel."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address

from openswan.engine.conn import Conn
from openswan.engine.status import end_text, host_text, topology
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, conn, end, make_pair, tunnel
from tests.sim.v1 import v1_tunnel, v1_up


def lines_of(host) -> list[str]:  # type: ignore[no-untyped-def]
    return [text for code, text in host.say("status") if code == 0]


def test_the_life_of_a_tunnel_as_status_shows_it() -> None:
    pair = make_pair(1)
    west, east = tunnel(dpd_delay=30.0, aliases=("sites",), metric=3)
    pair.west.load(west)
    pair.east.load(east)
    assert '"net-net": ' + topology(pair.west.pluto.core.conns.named["net-net"]) + "; unrouted; eroute owner: #0" in (
        lines_of(pair.west)
    )
    pair.west.request("initiate", name="net-net")
    pair.run(0.012)
    negotiating = "\n".join(lines_of(pair.west))
    assert re.search(r'#1: "net-net":\d+ IKEv2.0 STATE_PARENT_I[12] \(sent v2I', negotiating)
    assert pair.run(5.0, pair.up)
    text = lines_of(pair.west)
    joined = "\n".join(text)
    assert "erouted; eroute owner: #2" in joined
    assert '"net-net":   newest ISAKMP SA: #1; newest IPsec SA: #2; eroute owner: #2;' in text
    assert '"net-net":   dpd: action:hold; delay:30; timeout:0;' in text
    assert '"net-net":   network params: metric:3; mtu:0;' in text
    assert '"net-net":   aliases: sites' in text
    assert '"net-net":   ESP algorithm newest: AES_GCM_16_128-NONE; pfsgroup=<Phase1>' in text
    assert '"net-net":   IKE algorithms found: AES_GCM_16_128-HMAC_SHA2_256-X25519' in text
    assert '"net-net":   ESP algorithms loaded: AES_GCM_16_128' in text
    assert any(
        re.fullmatch(
            r'#2: "net-net":4500 IKEv2\.0 STATE_PARENT_I3 \(PARENT SA established, IPsec SA established\); '
            r"EVENT_SA_REPLACE in \d+s; newest IPSEC; eroute owner; isakmp#1; idle; import:admin initiate",
            line,
        )
        for line in text
    ), joined
    assert any(re.match(r'#2: "net-net" esp\.[0-9a-f]+@198\.51\.100\.7 esp\.[0-9a-f]+@192\.0\.2\.1 ', t) for t in text)
    pair.west.say("terminate", name="net-net")
    assert "prospective erouted; eroute owner: #0" in "\n".join(lines_of(pair.west))
    pair.run(1.0)
    assert pair.east.pluto.core.states.ikes, "it still answers repetitions"
    assert not any("STATE_" in line for line in (*lines_of(pair.west), *lines_of(pair.east)))


def test_topologies() -> None:
    def text(left, right) -> str:  # type: ignore[no-untyped-def]
        return topology(Conn(conn("t", left, right)))

    assert text(end(WEST, WEST_NET, "@west"), end(EAST, EAST_NET, "@east")) == (
        f"10.1.0.0/16==={WEST}<{WEST}>[@west]...{EAST}[@east]===10.2.0.0/16"
    )
    assert text(end(WEST), end(EAST)) == f"{WEST}<{WEST}>...{EAST}"
    assert text(end(WEST), end("%any", EAST_NET)) == f"{WEST}<{WEST}>...%any===10.2.0.0/16"
    assert text(end("%defaultroute"), end("gw.example.org")) == "%defaultroute...%dns<gw.example.org>"
    hop = end(WEST, WEST_NET, nexthop=ip_address("192.0.2.254"))
    assert text(hop, end(EAST, EAST_NET, nexthop=ip_address("198.51.100.1"))) == (
        f"10.1.0.0/16==={WEST}<{WEST}>---192.0.2.254...198.51.100.1---{EAST}===10.2.0.0/16"
    )
    ports = end(EAST, EAST_NET, protocol=6, port=443)
    assert end_text(Conn(conn("t", end(WEST), ports)), ports, end(WEST), False) == f"{EAST}:6/443===10.2.0.0/16"
    assert host_text(end("%any"), None) == "%any"


def test_an_ikev1_tunnel_and_what_its_ends_do_as_status_shows_them() -> None:
    pair = v1_up(dpd_delay=30.0)
    text = lines_of(pair.west)
    assert '"net-net":   policy: PSK+ENCRYPT+TUNNEL+PFS+UP; prio: 16,16; interface: eth0; kind=CK_PERMANENT' in text
    assert '"net-net":   IKE algorithm newest: aes_cbc_128-sha1-ECP256' in text
    found = [re.sub(r"\d+s", "Ns", line) for line in text if line.startswith("#")]
    assert found[:2] == [
        '#1: "net-net":500 IKEv1.0 STATE_MAIN_I4 (ISAKMP SA established); EVENT_SA_REPLACE in Ns; newest ISAKMP; '
        "lastdpd=Ns(seq in:0 out:0); idle; import:admin initiate",
        '#2: "net-net":500 IKEv1.0 STATE_QUICK_I2 (sent QI2, IPsec SA established); EVENT_SA_REPLACE in Ns; '
        "newest IPSEC; eroute owner; isakmp#1; idle; import:admin initiate",
    ]
    user, _ = v1_tunnel()
    left = replace(user.left, xauth_client=True, ask_addresses=(4,))
    it = Conn(replace(user, left=left, right=replace(user.right, xauth_server=True)))
    assert topology(it) == "10.1.0.0/16===192.0.2.1<192.0.2.1>[@west,MC+XC]...198.51.100.7[@east,MS+XS]===10.2.0.0/16"
