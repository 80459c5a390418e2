# SPDX-License-Identifier: GPL-2.0-or-later
"""Against libreswan on a stock Linux kernel: raw ESP (protocol 50), IKEv2, secrets, either side initiating.

sunset ----lan---- west (ours) =======wan======= virtual machine: libreswan, 192.0.2.2, behind it 10.2.0.1
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.libreswan import Libreswan
from tests.netns.traffic import assert_ping, learn_path

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]

KERNEL = conn("kernel", NET4, ikev2="insist", encapsulation="no", auto="ignore") + conn(
    "kernel6",
    NET4,
    leftsubnet="2001:db8:1::/64",
    rightsubnet="2001:db8:2::/64",
    ikev2="insist",
    encapsulation="no",
    auto="ignore",
)


@pytest.fixture(scope="module")
def peer() -> Iterator[Libreswan]:
    with Lab("vm") as lab:
        yield Libreswan(
            lab.west, "config setup\n    uniqueids=yes\n\n" + KERNEL, SECRETS.replace(":", "192.0.2.2 192.0.2.1 :", 1)
        )


def with_esp(line: str) -> str:
    """The order that gives libreswan's conn `kernel` that esp= line, or none; its SAs go."""
    edit = rf"/esp=/d; s/^conn kernel$/conn kernel\n    {line}/" if line else "/esp=/d"
    return f"sed -i '{edit}' /etc/ipsec.conf; ipsec auto --replace kernel"


@pytest.fixture
def west(peer: Libreswan) -> Iterator[Gateway]:
    """A fresh gateway of ours; libreswan forgets its SAs afterwards."""
    lab = peer.host.lab
    gateway = Gateway(lab.west, conn("net", NET4, encapsulation="no", auto="add"), SECRETS)
    gateway.start()
    yield gateway
    peer.sh(f"{with_esp('')}; ipsec auto --down kernel6", check=False)
    gateway.close()
    gateway.remove()


def prove(peer: Libreswan, far: str = "10.2.0.1", near: str = "10.1.0.2") -> None:
    """Pings of all sizes both ways and some TCP, as protocol 50 and nothing else."""
    lab = peer.host.lab
    with Capture(lab.west, "tap0") as wire:
        learn_path(lab.sunset, far, 1472)
        for size in (56, 1300, 1472, 4000):
            assert_ping(lab.sunset, far, size=size, wait=4)
        assert_ping(lab.west, far, source="10.1.0.1" if "." in far else "2001:db8:1::1", wait=4)
        answer = peer.sh(f"ping -n -c 3 -i 0.2 -W 4 -s 1400 -I {far} {near}")
        assert "3 received" in answer, answer
        wire.close()
        for seen in wire.leaks(INNER):
            assert seen.kind == "tcp" and {seen.src, seen.dst} == {"192.0.2.1", "192.0.2.2"}, seen
        kinds = wire.count()
        assert kinds["esp"] > 30 and kinds["esp-udp"] == 0, kinds


@pytest.mark.parametrize("who", ["we", "they"])
def test_raw_esp(peer: Libreswan, west: Gateway, who: str) -> None:
    if who == "we":
        west.up("net")
    else:
        peer.sh("ipsec auto --up kernel")
    west.wait_tunnels()
    prove(peer)
    assert "proto esp" in peer.sh("ip xfrm state")
    assert "encap" not in peer.sh("ip xfrm state")
    if who == "we":
        west.ipsec("auto", "--down", "net")
    else:
        peer.sh("ipsec auto --down kernel")
    wait_for("both to be down", lambda: not west.tunnels() and "proto esp" not in peer.sh("ip xfrm state"), 10)


def test_tcp_through_raw_esp(peer: Libreswan, west: Gateway) -> None:
    lab = peer.host.lab
    west.up("net")
    peer.sh("iperf3 -s -D -B 10.2.0.1 --logfile /tmp/iperf3.log; sleep 1")
    with Capture(lab.west, "tap0") as wire:
        lab.sunset.run("iperf3", "-c", "10.2.0.1", "-n", "2M", timeout=60)
        lab.sunset.run("iperf3", "-c", "10.2.0.1", "-n", "2M", "-R", timeout=60)
        assert_quiet(wire, INNER)
    peer.sh("pkill iperf3", check=False)


def test_ipv6_inside(peer: Libreswan, west: Gateway) -> None:
    west.configure(
        conn("net6", NET4, leftsubnet="2001:db8:1::/64", rightsubnet="2001:db8:2::/64", encapsulation="no", auto="add")
    )
    west.ipsec("auto", "--add", "net6")
    west.up("net6")
    prove(peer, "2001:db8:2::1", "2001:db8:1::2")


@pytest.mark.parametrize(
    "esp", ["aes_gcm128", "aes_gcm256", "aes128-sha2_256", "aes256-sha2_512", "aes256-sha1", "chacha20_poly1305"]
)
def test_esp_algorithms_against_the_kernel(peer: Libreswan, west: Gateway, esp: str) -> None:
    west.configure(conn("alg", NET4, encapsulation="no", auto="add", esp=esp))
    west.ipsec("auto", "--delete", "net")
    west.ipsec("auto", "--add", "alg")
    peer.sh(with_esp(f"esp={esp}"))
    west.up("alg")
    assert_ping(peer.host.lab.sunset, "10.2.0.1", size=1300, wait=4)


@pytest.mark.parametrize("what", ["ike", "child"])
def test_their_rekeys(peer: Libreswan, west: Gateway, what: str) -> None:
    west.up("net")
    before = peer.sh("ip xfrm state")
    peer.sh(f"ipsec whack --rekey-{'ike' if what == 'ike' else 'ipsec'} --name kernel")
    if what == "child":
        wait_for("new SAs", lambda: peer.sh("ip xfrm state") != before, 10, 0.5)
    prove(peer)
