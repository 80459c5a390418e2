# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rule decides about a packet, as iptables-save tells it."""

from ipaddress import ip_address

import pytest

from openswan.diagnosis.firewall import ESP, UDP, Packet, merged, read_iptables

A, B = ip_address("192.0.2.1"), ip_address("198.51.100.7")
IKE = Packet(UDP, B, A, 500, inward="wan")
HEAD = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [3:4]\n:OUTPUT ACCEPT [0:0]\n:mine - [0:0]\n"


def stopped(rules: str, packet: Packet = IKE, hook: str = "input") -> str:
    found = read_iptables(HEAD + rules + "COMMIT\n").stops(hook, packet)
    return found.remove if found else ""


@pytest.mark.parametrize(
    ("rules", "stops"),
    [
        ("-A INPUT -p udp -m udp --dport 500 -j DROP\n", True),
        ("-A INPUT -p udp -m udp --dport 499:501 -j REJECT --reject-with icmp-port-unreachable\n", True),
        ("-A INPUT -p udp -m multiport --dports 53,500 -j DROP\n", True),
        ("-A INPUT -p udp -m udp --dport 4500 -j DROP\n", False),
        ("-A INPUT -p tcp -j DROP\n", False),
        ("-A INPUT -s 198.51.100.0/24 -j DROP\n", True),
        ("-A INPUT ! -s 198.51.100.0/24 -j DROP\n", False),
        ("-A INPUT -i wan -j DROP\n", True),
        ("-A INPUT ! -i wan -j DROP\n", False),
        ("-A INPUT -i wa+ -j DROP\n", True),
        ("-A INPUT -p udp -j ACCEPT\n-A INPUT -j DROP\n", False),
        ("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -j DROP\n", True),
        ("-A INPUT -m conntrack --ctstate NEW -j DROP\n", True),
        ("-A INPUT -m limit --limit 3/min -j DROP\n", False),
        ("-A INPUT -j mine\n-A mine -p udp -j DROP\n", True),
        ("-A INPUT -j mine\n-A mine -p udp -j RETURN\n-A mine -j DROP\n", False),
        ("-A INPUT -j mine\n-A mine -j mine\n", False),
    ],
)
def test_rules(rules: str, stops: bool) -> None:
    assert bool(stopped(rules)) == stops


def test_what_takes_it_out() -> None:
    rule = "INPUT -p udp -m udp --dport 500 -j DROP"
    assert stopped(f"-A {rule}\n") == f"iptables -D {rule}"
    forwarded = Packet("tcp", A, B, inward="lan", outward="ipsec0")
    assert stopped("", forwarded, "forward") == "iptables -P FORWARD ACCEPT"
    assert not stopped("-A INPUT -p esp -j DROP\n") and stopped("-A INPUT -p esp -j DROP\n", Packet(ESP, B, A))


def test_translation() -> None:
    text = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING {} -j MASQUERADE\nCOMMIT\n"
    packet = Packet("tcp", A, B, outward="ipsec0")
    found = read_iptables(text.format("-s 192.0.2.0/24")).translates(packet)
    assert found is not None and found.remove == "iptables -t nat -D POSTROUTING -s 192.0.2.0/24 -j MASQUERADE"
    assert read_iptables(text.format("-o wan")).translates(packet) is None


def test_several_and_junk() -> None:
    both = merged(read_iptables(HEAD), read_iptables("*filter\n:INPUT DROP [0:0]\n", "ip6tables"))
    assert both.stops("input", IKE) is not None and len(both.tables) == 2
    assert read_iptables("nonsense\n-A\n:INPUT ACCEPT\n").tables == {}


@pytest.mark.parametrize(
    ("rules", "spared"),
    [
        ("-A INPUT -i eth0 -p tcp -m tcp --dport 80 -j DROP\n", True),
        ("-A INPUT -i eth0 -m limit --limit 3/min -j DROP\n", True),
        ("-A mine -i eth+ -j REJECT --reject-with icmp-port-unreachable\n", True),
        ("-A INPUT -p tcp -m tcp --dport 80 -j DROP\n", False),
        ("-A INPUT ! -i lo -j DROP\n", False),
        ("-A INPUT ! -i ipsec1 -j DROP\n", True),
        ("-A INPUT -i ipsec1 -j DROP\n-A INPUT -i lo -j DROP\n", False),
        ("-A INPUT -i eth0 -j ACCEPT\n", False),
        ("-A FORWARD -i eth0 -j DROP\n", False),
        ("-A OUTPUT -o eth0 -j DROP\n", False),
    ],
)
def test_rules_that_spare_a_device(rules: str, spared: bool) -> None:
    """FORWARD drops what no rule lets through, and so for every device."""
    assert bool(read_iptables(HEAD + rules + "COMMIT\n").spared("ipsec1")) is spared
