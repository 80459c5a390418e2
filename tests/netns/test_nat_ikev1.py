# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1 of strongSwan through NATs: clients with one and the same private address, and gateways both behind a router.

west 192.168.7.2 ==== [nat] 192.0.2.1 ======= 192.0.2.2 east 198.51.100.2 ======= 198.51.100.1 [nat2] ==== 192.168.7.2 twin
road 192.168.8.2 ======'                            `---- lan ---- sunrise 10.2.0.2
"""  # noqa: E501

from __future__ import annotations

import re

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.test_strongswan_ikev1 import PFS
from tests.netns.test_twins import twins
from tests.netns.traffic import assert_ping, in_thread, transfer

__all__ = ["twins"]

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("strongswan")]

CLIENTS = ("west", "road", "twin")
SERVER = {
    "left": "%any", "right": "192.0.2.2", "rightid": "@east", "rightsubnet": "10.2.0.0/24", "authby": "secret",
    "ikev2": "never", "auto": "add",
}  # fmt: skip


def swanctl(name: str, peer: str = "192.0.2.2", peer_id: str = "east", more: str = "", child: str = "") -> str:
    """strongSwan's connection `lab` of the host of that name."""
    child = child or "remote_ts = 10.2.0.0/24"
    return f"""
connections {{
  lab {{
    version = 1
    remote_addrs = {peer}
    proposals = aes256-sha256-modp2048
    {more}
    local {{
      auth = psk
      id = {name}
    }}
    remote {{
      auth = psk
      id = {peer_id}
    }}
    children {{
      net {{
        {child}
        esp_proposals = {PFS}
      }}
    }}
  }}
}}
{SECRET}
"""


def connected(lab: Lab, names: tuple[str, ...], **more: str) -> tuple[Gateway, dict[str, StrongSwan]]:
    """Our gateway at east with the tunnels of these hosts, who get addresses of it if it has any to give."""
    east = Gateway(lab.east, conn("any", SERVER, **more), SECRETS)
    east.start()
    clients = {name: StrongSwan(lab[name]) for name in names}
    for name, client in clients.items():
        client.load(swanctl(name, more="vips = 0.0.0.0" if "leftaddresspool" in more else ""))
        client.initiate("net")
    east.wait_tunnels(len(names))
    return east, clients


def served(lab: Lab, east: Gateway, addresses: dict[str, str]) -> None:
    """Each client reaches sunrise, all at once, and is reached at its address; the wires show ESP in UDP alone."""
    with Capture(lab.east, "wan") as wire, Capture(lab.east, "wan2") as other:
        results: dict[str, bool] = {}

        def work(name: str, port: int) -> None:
            results[name] = transfer(lab[name], lab.sunrise, "10.2.0.2", 1 << 19, port=port).intact

        for name, address in addresses.items():
            assert_ping(lab[name], "10.2.0.2")
            assert_ping(lab.sunrise, address)
        for thread in [in_thread(lambda n=n, i=i: work(n, 5600 + i)) for i, n in enumerate(addresses)]:
            thread.join(60)
        assert results == dict.fromkeys(addresses, True)
        for seen in (wire, other):
            assert_quiet(seen, ("10.2.0.0/24", *(f"{address}/32" for address in addresses.values())))
        assert wire.count()["esp-udp"] > 100
    assert all(f'"any"[{number}] ' in east.status() for number in range(1, len(addresses) + 1))


def test_clients_with_addresses_of_ours_whatever_their_own_are(twins: Lab) -> None:
    """Two with one private address behind two routers, and one more behind the first of them."""
    east, clients = connected(twins, CLIENTS, leftaddresspool="10.9.0.10-10.9.0.20")
    given = {name: re.findall(r"installing new virtual IP (\S+)", client.log())[-1] for name, client in clients.items()}
    assert len(set(given.values())) == 3
    served(twins, east, given)


def test_clients_behind_one_router_with_their_own_addresses(twins: Lab) -> None:
    east, clients = connected(twins, ("west", "road"))
    served(twins, east, {"west": "192.168.7.2", "road": "192.168.8.2"})
    clients["west"].ctl("--terminate", "--ike", "lab")
    wait_for("one client left", lambda: east.tunnels() == 1, 10)
    assert_ping(twins["road"], "10.2.0.2")


@pytest.mark.parametrize("who", ["we", "they"])
def test_both_gateways_behind_routers(twins: Lab, who: str) -> None:
    """The responder's router forwards its ports."""
    lab = twins
    for port in ("500", "4500"):
        lab["nat2"].run(
            "iptables", "-t", "nat", "-A", "PREROUTING", "-i", "out", "-p", "udp", "--dport", port,
            "-j", "DNAT", "--to-destination", "192.168.7.2",
        )  # fmt: skip
    ours, theirs = (lab.west, lab["twin"]) if who == "we" else (lab["twin"], lab.west)
    near, far = "10.1.0.0/24", "10.8.0.0/24"
    lab["twin"].ip("addr", "add", "10.8.0.1/24", "dev", "lo")
    mine, his = (near, far) if who == "we" else (far, near)
    base = {
        "left": "%defaultroute", "leftid": "@west" if who == "we" else "@twin", "leftsubnet": mine,
        "right": "198.51.100.1" if who == "we" else "%any", "rightid": "@twin" if who == "we" else "@west",
        "rightsubnet": his, "authby": "secret", "ikev2": "never", "auto": "add",
    }  # fmt: skip
    gateway, peer = Gateway(ours, conn("net", base), SECRETS), StrongSwan(theirs)
    gateway.start()
    child = f"local_ts = {his}\n remote_ts = {mine}"
    if who == "we":
        peer.load(swanctl("twin", "%any", "west", child=child))
        gateway.up("net")
    else:
        peer.load(swanctl("west", "198.51.100.1", "twin", child=child))
        peer.initiate("net")
    gateway.wait_tunnels()
    with Capture(lab.east, "wan") as wire:
        assert_ping(lab.west, "10.8.0.1", source="10.1.0.1")
        assert_ping(lab["twin"], "10.1.0.1", source="10.8.0.1")
        assert transfer(lab.sunset, lab["twin"], "10.8.0.1", 1 << 18).intact
        assert_quiet(wire, (near, far))
        assert wire.count()["esp-udp"] > 20
    assert "both are NATed" in gateway.log(200)
