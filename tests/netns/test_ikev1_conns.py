# SPDX-License-Identifier: GPL-2.0-or-later
"""Conns of the time of IKEv1, as they were written then but for addresses: each carries traffic, the wire shows none.

    sunset ----lan---- west (ours) =======wan======= east (strongSwan, or ours) ----lan---- sunrise

strongSwan plays the other part where it can: in tunnel mode, all that its engine in user space has.
"""

from __future__ import annotations

import re

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import NET4, SECRETS, conn, setup
from tests.netns.gateway import PSK, Gateway
from tests.netns.keys import Authority, new_key, pem
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import Pair
from tests.netns.test_strongswan import Stage, public_pem, rfc3110
from tests.netns.test_strongswan import swanctl as swanctl_v2
from tests.netns.test_strongswan_ikev1 import PFS, stage, swanctl
from tests.netns.test_strongswan_xauth import USER, WORD, _stage
from tests.netns.test_tunnel import certified
from tests.netns.traffic import Receiver, assert_ping, transfer, udp_socket

__all__ = ["_stage", "stage"]

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("strongswan")]

HEAD = """
conn %default
	ikev2=no
"""
"""What makes conns of a file IKEv1 as all conns were."""

NET_TO_NET = """
conn linux-to-linux
	#
	# Simple use raw RSA keys
	# After starting openswan, run: ipsec showhostkey --left (or --right)
	#
	left=192.0.2.1
	leftsubnet=10.1.0.0/24
	leftid=@west.example
	leftrsasigkey={west}
	# The remote user.
	#
	right=192.0.2.2
	rightid=@east.example
	rightsubnet=10.2.0.0/24
	rightrsasigkey={east}
	auto=add
"""
ROAD_WARRIOR = """
conn road
	authby=rsasig
	left=192.0.2.1
	leftsubnet=10.1.0.0/24
	leftid=%fromcert
	leftrsasigkey=%cert
	leftcert=west.example.pem
	#
	# The remote user.
	#
	right=%any
	rightca=%same
	rightrsasigkey=%cert
	rekey=no
	dpddelay=10
	dpdtimeout=90
	dpdaction=clear
	auto=add
"""
XAUTH_SERVER = """
conn xauthserver
	#
	left=192.0.2.1
	leftsubnet=10.1.0.0/24
	leftcert=west.example.pem
	leftxauthserver=yes
	leftmodecfgserver=yes
	#
	right=%any
	rightrsasigkey=%cert
	rightaddresspool=10.9.0.1-10.9.0.9
	rightxauthclient=yes
	#
	auto=add
	rekey=yes
	modecfgpull=yes
	modecfgdns1=10.1.0.53
	modecfgdns2=10.1.0.54
	modecfgwins1=10.1.0.55
	modecfgwins2=10.1.0.56
"""
SUBNETS = """
conn branches
	authby=secret
	left=192.0.2.1
	leftsubnets={10.1.0.0/24 10.11.0.0/24}
	right=192.0.2.2
	rightsubnets={10.2.0.0/24,10.12.0.0/24}
	auto=add
"""
EXTRUSION = """
conn extruded
	authby=secret
	left=192.0.2.1
	leftsubnet=0.0.0.0/0
	right=192.0.2.2
	rightsubnet=10.2.0.0/24
	auto=add
"""
L2TP = """
conn L2TP-PSK-NAT
	rightsubnet=vhost:%priv
	also=L2TP-PSK-noNAT

conn L2TP-PSK-noNAT
	authby=secret
	pfs=no
	auto=add
	keyingtries=3
	# we cannot rekey for %any, let client rekey
	rekey=no
	dpddelay=10
	dpdtimeout=90
	dpdaction=clear
	# Set ikelifetime and keylife to same defaults windows has
	ikelifetime=8h
	keylife=1h
	# l2tp-over-ipsec is transport mode
	type=transport
	#
	left=192.0.2.2
	leftprotoport=17/1701
	#
	# The remote user.
	#
	right=%any
	rightprotoport=17/%any

conn passthrough-for-non-l2tp
	type=passthrough
	left=192.0.2.2
	leftnexthop=192.0.2.1
	right=0.0.0.0
	rightsubnet=0.0.0.0/0
	auto=route
"""
L2TP_CLIENT = """
conn l2tp
	authby=secret
	pfs=no
	type=transport
	left=%defaultroute
	leftprotoport=17/1701
	right=192.0.2.2
	rightprotoport=17/1701
	auto=add

conn passthrough-for-non-l2tp
	type=passthrough
	left=%defaultroute
	right=0.0.0.0
	rightsubnet=0.0.0.0/0
	auto=route
"""
INNER = ("10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24", "10.11.0.0/24", "10.12.0.0/24")


def carried(lab: Lab, near: str = "10.1.0.2", far: str = "10.2.0.2") -> None:
    """Packets and TCP both ways, of which the wire shows nothing."""
    with Capture(lab.west) as wire:
        assert_ping(lab.sunset, far)
        assert_ping(lab.sunrise, near)
        assert transfer(lab.sunset, lab.sunrise, far, 1 << 18).intact
        assert_quiet(wire, INNER)


@pytest.mark.parametrize("who", ["we", "they"])
def test_net_to_net(stage: Stage, who: str) -> None:
    west = stage.west
    ours = west.new_rsa_key()
    key = new_key("rsa")
    files = {
        "private/east.pem": pem(key),
        "pubkey/west.pem": public_pem(ours.removeprefix("0s")),
        "pubkey/east.pem": public_pem(rfc3110(key)),
    }
    theirs = swanctl(
        "auth = pubkey\n pubkeys = east.pem\n id = east.example",
        "auth = pubkey\n pubkeys = west.pem\n id = west.example",
        esp=PFS,
    )
    text = HEAD + NET_TO_NET.format(west=ours, east="0s" + rfc3110(key))
    stage.play(theirs, {"linux-to-linux": text}, (west.dir / "ipsec.secrets").read_text(), files)
    stage.up(who, "linux-to-linux" if who == "we" else "net")
    carried(stage.lab)


def test_a_road_warrior_with_x509(stage: Stage, rsa_authority: Authority) -> None:
    """charon has neither a subnet nor a fixed address as far as our conn knows."""
    mine = rsa_authority.issue("east.example")
    files = {"x509ca/lab.pem": rsa_authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    theirs = swanctl(
        'auth = pubkey\n certs = east.pem\n id = "C=CH, O=Lab, CN=east.example"',
        'auth = pubkey\n id = "C=CH, O=Lab, CN=west.example"',
        children=f"net {{\n remote_ts = 10.1.0.0/24\n esp_proposals = {PFS}\n }}",
    )
    stage.play(theirs, {"road": HEAD + ROAD_WARRIOR}, certified(stage.west, rsa_authority, "west.example"), files)
    stage.up("they")
    with Capture(stage.lab.west) as wire:
        assert_ping(stage.lab.east, "10.1.0.2")
        assert_ping(stage.lab.sunset, "192.0.2.2")
        assert_quiet(wire, INNER)
    assert '"road"[1] 192.0.2.2' in stage.west.status()


def test_a_server_of_users(stage: Stage, rsa_authority: Authority) -> None:
    mine = rsa_authority.issue("east.example")
    files = {"x509ca/lab.pem": rsa_authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    theirs = swanctl(
        "auth = pubkey\n certs = east.pem\n id = east.example",
        'auth = pubkey\n id = "C=CH, O=Lab, CN=west.example"',
        "vips = 0.0.0.0",
        children=f"net {{\n remote_ts = 10.1.0.0/24\n esp_proposals = {PFS}\n }}",
    )
    theirs = theirs.replace("children {", f"local-2 {{\n auth = xauth\n xauth_id = {USER}\n }}\n children {{", 1)
    theirs += f'secrets {{\n xauth-carla {{\n id = {USER}\n secret = "{WORD}"\n }}\n }}\n'
    stage.play(
        theirs, {"xauthserver": HEAD + XAUTH_SERVER}, certified(stage.west, rsa_authority, "west.example"), files
    )
    stage.up("they")
    wait_for("their address", lambda: "installing new virtual IP 10.9.0." in stage.east.log(), 5, 0.1)
    given = re.findall(r"installing new virtual IP (\S+)", stage.east.log())[-1]
    with Capture(stage.lab.west) as wire:
        assert_ping(stage.lab.sunset, given)
        assert_quiet(wire, INNER)
    assert stage.west.logged(f"XAUTH: User {USER}: Authentication Successful")


@pytest.mark.parametrize("who", ["we", "they"])
def test_multiple_subnets(stage: Stage, who: str) -> None:
    lab = stage.lab
    for host, gateway, net in ((lab.sunset, lab.west, 11), (lab.sunrise, lab.east, 12)):
        host.ip("addr", "replace", f"10.{net}.0.2/24", "dev", "lan")
        gateway.ip("addr", "replace", f"10.{net}.0.1/24", "dev", "lan")
    pairs = [(left, right) for left in ("10.1.0", "10.11.0") for right in ("10.2.0", "10.12.0")]
    children = "\n".join(
        f"net{n} {{\n local_ts = {right}.0/24\n remote_ts = {left}.0/24\n esp_proposals = {PFS}\n }}"
        for n, (left, right) in enumerate(pairs, 1)
    )
    stage.play(swanctl(children=children), {"branches": HEAD + SUBNETS})
    stage.conns[:] = ["branches"]
    if who == "we":
        assert "initiating all conns with alias='branches'" in stage.west.up("branches")
    else:
        for n in range(1, 5):
            stage.east.initiate(f"net{n}")
    stage.west.wait_tunnels(4)
    stage.east.wait_children(4)
    assert len(stage.east.ike_spis()) == 1
    with Capture(lab.west) as wire:
        for left, right in pairs:
            assert_ping(lab.sunset, f"{right}.2", source=f"{left}.2")
        assert_quiet(wire, INNER)


@pytest.mark.matrix
@pytest.mark.parametrize("theirs", [1, 2])
def test_a_peer_that_speaks_the_other_version_alone(stage: Stage, theirs: int) -> None:
    """Whoever begins: our log names the likely cause and what to write."""
    mine = {1: "say ikev2=no in this conn", 2: "leave ikev2=no (keyexchange=ikev1, aggrmode=yes) out of this conn"}
    here = {1: 'say ikev2=no in "net"', 2: 'leave ikev2=no out of "net"'}
    more = {"retransmit-timeout": "4s"} | ({} if theirs == 1 else {"ikev2": "no"})
    text = conn("net", NET4, auto="add", keyingtries="1", **more)
    stage.play((swanctl if theirs == 1 else swanctl_v2)(), {"net": text})
    stage.west.ipsec("auto", "--up", "net", check=False, timeout=90)
    assert stage.west.logged(f"if 192.0.2.2 speaks IKEv{theirs} alone: {mine[theirs]}")
    stage.east.ctl("--initiate", "--child", "net", "--timeout", "3", check=False)
    assert stage.west.logged(f"if 192.0.2.2 speaks IKEv{theirs} alone: {here[theirs]}")


# --- with ours at both ends


def both(lab: Lab, west: str, east: str) -> Pair:
    """Two gateways of ours with these conns."""
    text = setup(nat_traversal="yes", virtual_private="%v4:10.0.0.0/8,%v4:192.168.0.0/16,%v4:172.16.0.0/12") + HEAD
    gateways = Pair(
        Gateway(lab.west, text + west, SECRETS), Gateway(lab.east, text + east, f"192.0.2.2 %any: PSK {PSK}")
    )
    gateways.east.start()
    gateways.west.start()
    return gateways


def test_subnet_extrusion(lab: Lab) -> None:
    """All that east's hosts send goes by way of west, wherever it is for."""
    beyond = lab.add_host("beyond", "west", "lan2", "10.77.0", "2001:db8:77")
    pair = both(lab, EXTRUSION, EXTRUSION)
    pair.east.up("extruded")
    pair.settle()
    with Capture(lab.west) as wire:
        assert_ping(lab.sunrise, "10.77.0.2")
        assert_ping(beyond, "10.2.0.2")
        assert_ping(lab.sunrise, "10.1.0.2")
        assert transfer(lab.sunrise, beyond, "10.77.0.2", 1 << 18).intact
        assert_quiet(wire, (*INNER, "10.77.0.0/24"))


def l2tp_call(host: Host, source: str, words: bytes, port: int = 1701) -> bytes:
    """One datagram to port 1701 of the server, and its answer."""
    with udp_socket(host, source, port) as mouth:
        mouth.settimeout(5)
        mouth.sendto(words, ("192.0.2.2", 1701))
        return mouth.recv(2048)


def test_l2tp_in_transport_mode(lab: Lab) -> None:
    pair = both(lab, L2TP_CLIENT, L2TP)
    pair.west.up("l2tp")
    pair.settle()
    server = Receiver(lab.east, "192.0.2.2", 1701, echo=True)
    with Capture(lab.west) as wire:
        assert l2tp_call(lab.west, "192.0.2.1", b"hello") == b"hello"
        assert server.got == [b"hello"]
        assert_quiet(wire)
    assert "L2TP-PSK-noNAT" in pair.east.status()


def test_l2tp_behind_a_nat(nat_lab: Lab) -> None:
    """Two clients behind one router, of which one has another port; what is not L2TP passes beside it."""
    text = setup(nat_traversal="yes", virtual_private="%v4:10.0.0.0/8,%v4:192.168.0.0/16") + HEAD
    east = Gateway(nat_lab.east, text + L2TP, f"192.0.2.2 %any: PSK {PSK}")
    ports = {nat_lab.west: "1701", nat_lab.road: "50001"}
    clients = [
        Gateway(host, text + L2TP_CLIENT.replace("leftprotoport=17/1701", f"leftprotoport=17/{port}"), SECRETS)
        for host, port in ports.items()
    ]
    for gateway in (east, *clients):
        gateway.start()
    for client in clients:
        client.up("l2tp")
    server = Receiver(nat_lab.east, "192.0.2.2", 1701, echo=True)
    with Capture(nat_lab.east) as wire:
        for client, source in zip(clients, ("192.168.7.2", "192.168.8.2"), strict=True):
            words = client.host.name.encode()
            assert l2tp_call(client.host, source, words, int(ports[client.host])) == words
        assert server.got == [b"west", b"road"]
        assert_quiet(wire)
    for client in clients:
        assert_ping(client.host, "192.0.2.2")
