# SPDX-License-Identifier: GPL-2.0-or-later
"""Which conn an IKEv1 peer gets: by addresses, by who it is, by its clients; conns are read as ipsec.conf says them."""

from __future__ import annotations

import pytest

from openswan.base.said import Said
from openswan.config.load import load_text
from openswan.config.secrets import SecretStore
from openswan.engine.settings import Settings
from tests.sim.net import Nat, Net
from tests.sim.pair import EAST, OUTSIDE, SimHost, psk

HEAD = """
config setup
	virtual_private=%v4:10.0.0.0/8,%v4:192.168.0.0/16,%v4:!10.2.0.0/16
conn %default
	ikev2=no
	authby=secret
	ike=aes128-sha1-ecp256
	esp=aes128-sha1
	auto=add
"""
GATEWAY = """
	left=198.51.100.7
	leftid=@gw
	leftsubnet=10.2.0.0/16
"""


def host(
    net: Net, name: str, address: str, text: str, secrets: SecretStore, settings: Settings | None = None
) -> SimHost:
    """A host with the conns of a file."""
    read = load_text(HEAD + text, "f", lambda pattern, directory: [], lambda name: ())
    assert not read.failed and not read.complaints, [str(line) for line in read.complaints]
    it = SimHost(net, name, address, len(name), secrets, settings)
    it.load(*read.connections)
    return it


def gateway(net: Net, text: str, settings: Settings | None = None) -> SimHost:
    """The one that is asked; any %any conn of it is for everybody who knows the secret."""
    parts = [part for part in text.split("conn ") if part.strip()]
    whole = "".join(f"conn {part.rstrip()}{GATEWAY}" for part in parts)
    return host(net, "gw", EAST, whole, psk("@gw", "%any"), settings)


def warrior(
    net: Net, number: int = 1, client: str = "", who: str = "", address: str = "", more: str = "", far: str = ""
) -> SimHost:
    """One that asks, perhaps with something behind it."""
    address, who = address or f"203.0.113.{number}", who or f"@rw{number}"
    text = f"""
conn home
	left={address}
	leftid={who}
	{f"leftsubnet={client}" if client else ""}
	right=198.51.100.7
	rightid=@gw
	rightsubnet={far or "10.2.0.0/16"}
	keyingtries=1
	retransmit-timeout=8s
	{more}
"""
    return host(net, f"rw{number}", address, text, psk(who, "@gw"))


def up(net: Net, *hosts: SimHost, seconds: float = 30.0) -> bool:
    asked = [(one, one.request("initiate", name="home")) for one in hosts]
    net.run(net.now + seconds, lambda: all(client in one.finished for one, client in asked))
    net.run(net.now + 1.0)
    return all(tunnels(one) for one in hosts)


def tunnels(one: SimHost) -> list[str]:
    """The clients there are tunnels for, as `ours -> theirs`."""
    return sorted(f"{e.key.src} -> {e.key.dst}" for e in one.klips.eroutes.values() if isinstance(e.target, Said))


def chosen(one: SimHost) -> list[str]:
    """The conns that have a pair of SAs."""
    return sorted(child.conn.name for child in one.pluto.core.states.children.values())


@pytest.mark.parametrize(
    ("client", "good"),
    [
        ("10.9.0.0/16", True),
        ("10.9.7.0/24", True),
        ("10.9.7.1/32", True),
        ("10.10.0.0/24", False),
        ("10.0.0.0/8", False),
        ("", False),
    ],
)
def test_rightsubnetwithin(client: str, good: bool) -> None:
    """Whoever comes has any subnet inside of one, and none around it."""
    net = Net(1)
    server = gateway(net, "conn rw\n\tright=%any\n\trightsubnetwithin=10.9.0.0/16\n")
    assert up(net, warrior(net, client=client)) is good, server.lines[-4:]
    assert tunnels(server) == ([f"10.2.0.0/16 -> {client}"] if good else [])
    assert good or any("no connection is known for 10.2.0.0/16" in line for line in server.lines)


def test_rightsubnetwithin_serves_several_at_once_each_with_its_own() -> None:
    net = Net(2)
    server = gateway(net, "conn rw\n\tright=%any\n\trightsubnetwithin=10.9.0.0/16\n")
    assert up(net, warrior(net, 1, "10.9.1.0/24"), warrior(net, 2, "10.9.2.0/24"))
    assert tunnels(server) == ["10.2.0.0/16 -> 10.9.1.0/24", "10.2.0.0/16 -> 10.9.2.0/24"]
    # What is somebody's is not given to another who asks for it.
    assert not up(net, warrior(net, 3, "10.9.1.0/24"))
    assert any('is in use for "rw"[1]' in line for line in server.lines)
    assert [line.partition(": ")[2] for line in server.lines if "verlap" in line or "Your ID" in line] == [
        "Virtual IP 10.9.1.0/24 overlaps with connection \"rw\"[1] 203.0.113.1 (kind=CK_INSTANCE) '@rw1'",
        "overlap is forbidden (neither agrees to overlap)",
        "Your ID is '@rw3'",
    ]


@pytest.mark.parametrize(
    ("client", "good"),
    [
        ("192.168.7.2/32", True),
        ("10.77.0.9/32", True),
        ("10.2.0.9/32", False),  # %v4:!10.2.0.0/16
        ("172.16.0.9/32", False),
        ("10.77.0.0/24", False),  # vhost: one address
        ("", True),  # %no
    ],
)
def test_virtual_private_with_exclusions(client: str, good: bool) -> None:
    net = Net(3)
    server = gateway(net, "conn rw\n\tright=%any\n\trightsubnet=vhost:%priv,%no\n")
    assert up(net, warrior(net, client=client)) is good, server.lines[-4:]
    assert tunnels(server) == ([f"10.2.0.0/16 -> {client or '203.0.113.1/32'}"] if good else [])
    why = "only virtual host IPs are allowed" if client.endswith("/24") else "did not match our list (virtual_private=)"
    for words in ("peer proposal was reject in a virtual connection policy because:", why):
        assert any(line.endswith(words) for line in server.lines) is not good


def test_virtual_private_behind_a_nat() -> None:
    net = Net(4)
    Nat(net, OUTSIDE, ["192.168.7.2"])
    server = gateway(net, "conn rw\n\tright=%any\n\trightsubnet=vhost:%priv,%no\n")
    assert up(net, warrior(net, address="192.168.7.2")), server.lines[-6:]
    assert tunnels(server) == ["10.2.0.0/16 -> 192.168.7.2/32"]


@pytest.mark.parametrize("port", ["1701", "50001"])
def test_rightprotoport_with_any(port: str) -> None:
    """17/%any: any one port of UDP, which the peer names."""
    net = Net(5)
    text = "conn rw\n\tright=%any\n\ttype=transport\n\tleftprotoport=17/1701\n\trightprotoport=17/%any\n"
    read = text + "\tleft=198.51.100.7\n\tleftid=@gw\n"
    server = host(net, "gw", EAST, read, psk("@gw", "%any"))
    client = host(
        net, "rw1", "203.0.113.1",
        "conn home\n\tleft=203.0.113.1\n\tleftid=@rw1\n\tright=198.51.100.7\n\trightid=@gw\n\ttype=transport\n"
        f"\tleftprotoport=17/{port}\n\trightprotoport=17/1701\n",
        psk("@rw1", "@gw"),
    )  # fmt: skip
    assert up(net, client), server.lines[-6:]
    [key] = [e.key for e in server.klips.eroutes.values() if isinstance(e.target, Said)]
    assert (key.protocol, key.src_port, key.dst_port) == (17, 1701, int(port))


def test_a_peer_that_names_another_port_of_ours_is_refused() -> None:
    net = Net(6)
    server = gateway(net, "conn rw\n\tright=%any\n\tleftprotoport=6/80\n\trightprotoport=6/%any\n")
    assert not up(net, warrior(net, more="leftprotoport=6/1024\n\trightprotoport=6/443"))
    assert up(net, warrior(net, 2, more="leftprotoport=6/1024\n\trightprotoport=6/80"))
    assert chosen(server) == ["rw"]


SITES = """
conn first
	right=203.0.113.1
	rightid=@rw1
	rightsubnet=10.11.0.0/16

conn second
	right=203.0.113.1
	rightid=@rw1
	rightsubnet=10.12.0.0/16

conn others
	right=%any
	rightsubnetwithin=10.64.0.0/12
"""


@pytest.mark.parametrize(
    ("number", "client", "conn"),
    [
        (1, "10.11.0.0/16", "first"),
        (1, "10.12.0.0/16", "second"),
        (2, "10.65.0.0/16", "others"),
        (2, "10.11.0.0/16", ""),
    ],
)
def test_several_conns_between_one_pair_by_clients_in_phase_2(number: int, client: str, conn: str) -> None:
    net = Net(7)
    server = gateway(net, SITES)
    assert up(net, warrior(net, number, client)) is bool(conn), server.lines[-5:]
    assert chosen(server) == ([conn] if conn else [])


def test_several_conns_between_one_pair_all_at_once() -> None:
    net = Net(8)
    server = gateway(net, SITES)
    client = warrior(net, 1, "10.11.0.0/16")
    other_way = GATEWAY.replace("left", "right")
    text = HEAD + f"conn more\n\tleft=203.0.113.1\n\tleftid=@rw1\n\tleftsubnet=10.12.0.0/16\n{other_way}"
    read = load_text(text, "f", lambda pattern, directory: [], lambda name: ())
    client.load(*read.connections)
    client.request("initiate", name="more")
    assert up(net, client)
    net.run(net.now + 5.0)
    assert chosen(server) == ["first", "second"]
    assert len({child.ike.serial for child in server.pluto.core.states.children.values()}) == 1


BY_NAME = """
conn alice
	right=%any
	rightid=@alice
	rightsubnet=10.11.0.0/16

conn bob
	right=%any
	rightid=@bob
	rightsubnet=10.12.0.0/16

conn company
	right=%any
	rightid=@*.example.org
	rightsubnetwithin=10.64.0.0/12
"""


@pytest.mark.parametrize(
    ("who", "client", "conn"),
    [
        ("@alice", "10.11.0.0/16", "alice"),
        ("@bob", "10.12.0.0/16", "bob"),
        ("@east.example.org", "10.65.0.0/16", "company"),
        ("@alice", "10.12.0.0/16", ""),
        ("@mallory", "10.12.0.0/16", ""),
    ],
)
def test_by_addresses_first_and_then_by_name_in_phase_1(who: str, client: str, conn: str) -> None:
    """Nobody gets what is another's, although they share the secret."""
    net = Net(9)
    server = gateway(net, BY_NAME)
    assert up(net, warrior(net, client=client, who=who)) is bool(conn), server.lines[-5:]
    assert chosen(server) == ([conn] if conn else [])
    if who != "@alice":
        assert any('switched from "alice"' in line or f"for peer '{who}'" in line for line in server.lines)


@pytest.mark.parametrize("unique", [True, False])
def test_uniqueids_with_a_secret_and_a_name_that_all_share(unique: bool) -> None:
    """A second peer of the same name that remembers nothing displaces the first, unless uniqueids=no."""
    net = Net(10)
    server = gateway(net, "conn rw\n\tright=%any\n\trightid=@group\n", Settings(uniqueids=unique))
    first, second = (warrior(net, number, who="@group") for number in (1, 2))
    assert up(net, first)
    net.run(net.now + 20.0)
    assert up(net, second)
    net.run(net.now + 5.0)
    assert len(tunnels(server)) == (1 if unique else 2)
    # The one that was displaced comes back, and displaces the other: hence uniqueids=no.
    assert any("INITIAL_CONTACT on a newer SA" in line for line in server.lines) is unique
    assert unique or (tunnels(first) and tunnels(second))
