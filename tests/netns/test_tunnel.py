# SPDX-License-Identifier: GPL-2.0-or-later
"""Tunnels between two real gateways: every way to prove who one is, every mix of families, every shape of selector.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority, Key
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import Flow, Receiver, assert_ping, learn_path, ping, transfer, udp_socket

SUNSET = {4: "10.1.0.2", 6: "2001:db8:1::2"}
SUNRISE = {4: "10.2.0.2", 6: "2001:db8:2::2"}
SUBNETS = {4: ("10.1.0.0/24", "10.2.0.0/24"), 6: ("2001:db8:1::/64", "2001:db8:2::/64")}
OUTER = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}


def mix(inside: int, outside: int, **more: str) -> str:
    """conn `net` with those families."""
    base = {
        "left": OUTER[outside][0],
        "leftsubnet": SUBNETS[inside][0],
        "right": OUTER[outside][1],
        "rightsubnet": SUBNETS[inside][1],
        "authby": "secret",
        "auto": "add",
    }
    return conn("net", base, **more)


def prove(lab: Lab, inside: int = 4) -> None:
    """Small and large packets, both ways, and TCP both ways, whole."""
    learn_path(lab.sunset, SUNRISE[inside], 1472)
    for size in (56, 1300, 1472, 5000):
        assert_ping(lab.sunset, SUNRISE[inside], 2, size=size)
    assert_ping(lab.sunrise, SUNSET[inside], 2)
    assert transfer(lab.sunset, lab.sunrise, SUNRISE[inside], 4 << 20).intact
    assert transfer(lab.sunrise, lab.sunset, SUNSET[inside], 4 << 20).intact


@pytest.mark.matrix
@pytest.mark.parametrize("outside", [4, 6])
@pytest.mark.parametrize("inside", [4, 6])
@pytest.mark.parametrize("encapsulation", ["yes", "no"])
def test_families_mix_and_the_wire_shows_only_esp_and_ike(
    lab: Lab, inside: int, outside: int, encapsulation: str
) -> None:
    both = pair(lab, mix(inside, outside, encapsulation=encapsulation))
    with Capture(lab.west) as wire:
        both.up("net")
        with Capture(lab.west, "ipsec0") as tunnel:
            prove(lab, inside)
        assert_quiet(wire, INNER)
        kinds = wire.count()
        assert kinds["esp-udp" if encapsulation == "yes" else "esp"] > 100, kinds
        assert kinds["esp" if encapsulation == "yes" else "esp-udp"] == 0, kinds
    clear = tunnel.count()
    assert clear["icmp"] >= 16 and clear["tcp"] > 20 and not clear["esp"] and not clear["esp-udp"], clear


@pytest.mark.matrix
@pytest.mark.parametrize("encapsulation", ["yes", "no"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_narrow_wire(family: int, encapsulation: str) -> None:
    """A path MTU of 1300: everything still fits through, in fragments or in smaller segments."""
    with Lab(mtu=1300) as narrow:
        both = pair(narrow, mix(family, family, encapsulation=encapsulation))
        both.up("net")
        with Capture(narrow.west) as wire:
            prove(narrow, family)
            assert_quiet(wire, INNER)


@pytest.mark.matrix
@pytest.mark.parametrize(
    "esp",
    [
        "aes_gcm128",
        "aes_gcm256",
        "chacha20_poly1305",
        "aes128-sha1",
        "aes256-sha2_256",
        "aes128-sha2_384",
        "aes256-sha2_512",
    ],
)
def test_every_esp_algorithm_between_two_engines(lab: Lab, esp: str) -> None:
    both = pair(lab, mix(4, 4, esp=esp))
    both.up("net")
    prove(lab)


@pytest.mark.matrix
@pytest.mark.parametrize("group", ["modp2048", "modp4096", "dh19", "dh20", "dh21", "dh31"])
def test_every_sort_of_group(lab: Lab, group: str) -> None:
    both = pair(lab, mix(4, 4, ike=f"aes256-sha2_256-{group}", esp=f"aes_gcm256-{group}"))
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")


@pytest.mark.long
def test_raw_rsa_keys(lab: Lab) -> None:
    west, east = Gateway(lab.west), Gateway(lab.east)
    lines = {}
    for gateway, side in ((west, "left"), (east, "right")):
        gateway.ipsec("newhostkey", "--output", str(gateway.dir / "ipsec.secrets"), "--bits", "2192", "--quiet")
        assert (gateway.dir / "ipsec.secrets").stat().st_mode & 0o077 == 0
        shown = gateway.ipsec("showhostkey", f"--{side}").stdout
        lines[side] = next(line.strip() for line in shown.splitlines() if line.strip().startswith(f"{side}rsasigkey="))
    keys = {name: line.partition("=")[2] for name, line in ((f"{s}rsasigkey", text) for s, text in lines.items())}
    text = mix(4, 4, authby="rsasig", leftid="@west.example", rightid="@east.example", **keys)
    for gateway in (east, west):
        gateway.configure(text)
        gateway.start()
    Pair(west, east).up("net")
    prove(lab)


def certified(gateway: Gateway, ca: Authority, name: str, also: tuple[str, ...] = (), made: Key | None = None) -> str:
    """Put a certificate and its key where the gateway looks for them; the line for ipsec.secrets."""
    mine = ca.issue(name, also=also, key=made)
    (gateway.dir / "ipsec.d/cacerts/lab.pem").write_bytes(ca.pem)
    (gateway.dir / f"ipsec.d/certs/{name}.pem").write_bytes(mine.cert)
    key = gateway.dir / f"ipsec.d/private/{name}.pem"
    key.touch(0o600)
    key.write_bytes(mine.key)
    return f": {'RSA' if ca.kind == 'rsa' else 'ECDSA'} {name}.pem"


def certificates(lab: Lab, ca: Authority, east_ca: Authority | None = None, **east_more: str) -> Pair:
    """West and east with certificates, not started."""
    west, east = Gateway(lab.west), Gateway(lab.east)
    ids = {"leftid": "@west.example", "rightid": "@east.example", "authby": ca.kind.replace("rsa", "rsasig")}
    west.configure(
        mix(4, 4, leftcert="west.example.pem", rightrsasigkey="%cert", **ids),
        certified(west, ca, "west.example"),
    )
    east.configure(
        mix(4, 4, rightcert="east.example.pem", leftrsasigkey="%cert", **{**ids, **east_more}),
        certified(east, east_ca or ca, "east.example"),
    )
    return Pair(west, east)


@pytest.mark.matrix
def test_certificates(lab: Lab, authority: Authority) -> None:
    both = certificates(lab, authority)
    both.east.start()
    both.west.start()
    both.up("net")
    prove(lab)


def test_a_certificate_of_a_stranger_is_refused(lab: Lab, rsa_authority: Authority) -> None:
    both = certificates(lab, rsa_authority, east_ca=Authority("rsa", "Another CA"))
    both.east.start()
    both.west.start()
    done = both.west.ipsec("auto", "--up", "net", check=False, timeout=30)
    assert done.returncode != 0, done.stdout
    assert not both.west.tunnels() and not both.east.tunnels()


@pytest.mark.long
def test_two_conns_between_the_same_gateways(lab: Lab) -> None:
    lab.add_host("dawn", "east", "lan2", "10.3.0", "2001:db8:3")
    both = pair(lab, mix(4, 4) + conn("other", NET4, rightsubnet="10.3.0.0/24", auto="add"))
    both.up("net", "other")
    with Capture(lab.west) as wire:
        prove(lab)
        assert_ping(lab.sunset, "10.3.0.2")
        assert_quiet(wire, (*INNER, "10.3.0.0/24"))
    both.west.ipsec("auto", "--down", "net")
    wait_for("the first to be gone", lambda: both.west.tunnels() == 1, 5)
    assert_ping(lab.sunset, "10.3.0.2")
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, "10.2.0.2", 2, wait=0.3).received == 0
        assert_quiet(wire, INNER)


def test_both_families_and_a_narrow_port_beside_them(lab: Lab) -> None:
    narrow = conn("web", NET4, leftprotoport="tcp", rightprotoport="tcp/5555", auto="add")
    both = pair(lab, conn("net4", NET4, auto="add") + conn("net6", NET6, auto="add") + narrow)
    both.up("net4", "net6", "web")
    prove(lab, 4)
    prove(lab, 6)
    used = {row["owner"]: row["packets"] for row in both.west.eroutes()}
    assert used["web"] > 50 and used["net4"] > 0 and used["net6"] > 0, used


@pytest.mark.matrix
@pytest.mark.parametrize("family", [4, 6])
def test_host_to_host(lab: Lab, family: int) -> None:
    text = conn("hosts", left=OUTER[family][0], right=OUTER[family][1], authby="secret", auto="add")
    both = pair(lab, text)
    both.up("hosts")
    with Capture(lab.west) as wire:
        learn_path(lab.west, OUTER[family][1], 1472)
        for size in (56, 1400, 4000):
            assert_ping(lab.west, OUTER[family][1], size=size)
        assert_ping(lab.east, OUTER[family][0])
        assert transfer(lab.west, lab.east, OUTER[family][1]).intact
        assert_quiet(wire)


@pytest.mark.matrix
@pytest.mark.parametrize("family", [4, 6])
def test_everything_goes_to_the_peer(lab: Lab, family: int) -> None:
    """The far side is 0/0 or ::/0, which holds the peer itself."""
    world = {4: "0.0.0.0/0", 6: "::/0"}[family]
    both = pair(lab, mix(family, family, rightsubnet=world))
    both.up("net")
    lab.add_host("elsewhere", "east", "lan2", "198.51.100", "2001:db8:99")
    with Capture(lab.west) as wire:
        prove(lab, family)
        assert_ping(lab.sunset, {4: "198.51.100.2", 6: "2001:db8:99::2"}[family])
        assert_ping(lab.sunset, OUTER[family][1])
        assert_quiet(wire, INNER)


@pytest.mark.matrix
@pytest.mark.parametrize("family", [4, 6])
def test_the_peer_sits_inside_its_own_client(lab: Lab, family: int) -> None:
    wide = {4: "192.0.2.0/24", 6: "2001:db8::/64"}[family]
    both = pair(lab, mix(family, family, rightsubnet=wide))
    both.up("net")
    with Capture(lab.west) as wire:
        assert_ping(lab.sunset, OUTER[family][1])
        learn_path(lab.sunset, OUTER[family][1], 1472)
        assert_ping(lab.sunset, OUTER[family][1], size=3000)
        assert transfer(lab.sunset, lab.east, OUTER[family][1]).intact
        assert_quiet(wire, INNER)


@pytest.mark.matrix
@pytest.mark.parametrize("family", [4, 6])
def test_the_gateways_own_inside_address(lab: Lab, family: int) -> None:
    """A remote host reaches it without leftsourceip; with it, the gateway's own traffic takes it as its source."""
    inside = {4: "10.1.0.1", 6: "2001:db8:1::1"}[family]
    text = mix(family, family, leftsourceip=inside)
    both = pair(lab, text, mix(family, family))
    both.up("net")
    with Capture(lab.west) as wire:
        assert_ping(lab.sunrise, inside)
        assert_ping(lab.sunrise, {4: "10.2.0.1", 6: "2001:db8:2::1"}[family])
        far = {4: "10.2.0.1", 6: "2001:db8:2::1"}[family]
        assert_ping(lab.sunset, far)
        heard = Receiver(lab.sunrise, SUNRISE[family], 7007, echo=True)
        assert_ping(lab.west, SUNRISE[family])
        assert inside in lab.west.ip(*(["-6"] if family == 6 else []), "route", "get", SUNRISE[family])
        assert transfer(lab.west, lab.sunrise, SUNRISE[family]).intact
        assert_quiet(wire, INNER)
        heard.close()


def test_a_packet_outside_the_selectors_is_dropped_after_decryption(lab: Lab) -> None:
    """East believes in a wider net than west does, and west checks what comes out."""
    lab.sunrise.ip("addr", "add", "10.2.9.2/32", "dev", "lan")
    lab.east.ip("route", "add", "10.2.9.2/32", "dev", "lan")
    both = pair(lab, mix(4, 4))
    both.up("net")
    s = udp_socket(lab.sunrise, "10.2.9.2")
    heard = Receiver(lab.sunset, "10.1.0.2", 7010)
    with Capture(lab.west) as wire:
        for _ in range(5):
            s.sendto(b"<<outside>>", ("10.1.0.2", 7010))
        assert_ping(lab.sunset, "10.2.0.2")
        assert not any(b"<<outside>>" in seen.data for seen in wire.packets() if seen.kind == "esp-udp")
    s.close()
    assert heard.got == []


def test_down_keeps_the_route_and_nothing_leaves_in_clear(lab: Lab) -> None:
    both = pair(lab, mix(4, 4))
    both.up("net")
    heard = Receiver(lab.sunrise, "10.2.0.2", 7001)
    with Capture(lab.west) as wire:
        flow = Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, b"<<down>>").start()
        wait_for("traffic", lambda: len(heard.got) > 5)
        both.west.ipsec("auto", "--down", "net")
        wait_for("both sides to let go", lambda: not both.west.tunnels() and not both.east.tunnels(), 5)
        before = len(heard.got)
        wait_for("more to be sent", lambda s=flow.sent: flow.sent > s + 30)
        assert len(heard.got) == before
        both.west.up("net")
        wait_for("traffic again", lambda: len(heard.got) > before + 5)
        flow.stop()
        assert_quiet(wire, INNER, [b"<<down>>"])
    both.west.ipsec("auto", "--delete", "net")
    both.east.ipsec("auto", "--delete", "net")
    assert_ping(lab.sunset, "10.2.0.2")


def test_auto_add_alone_guards_nothing(lab: Lab) -> None:
    pair(lab, mix(4, 4))
    assert_ping(lab.sunset, "10.2.0.2")


def test_auto_start_comes_up_by_itself_and_setup_stop_clears_the_way(lab: Lab) -> None:
    both = pair(lab, mix(4, 4, auto="start"))
    both.settle()
    prove(lab)
    both.west.stop()
    both.east.stop()
    assert_ping(lab.sunset, "10.2.0.2")
    for host in (lab.west, lab.east):
        assert "ipsec0" not in host.ip("route", "show", "table", "all")
        assert host.run("nft", "list", "ruleset").stdout.strip() == ""
        assert len(host.ip("rule").splitlines()) == 3


def test_wrong_secret_is_refused_in_one_line_and_leaves_no_state(lab: Lab) -> None:
    both = pair(lab, mix(4, 4), secrets=SECRETS, east_secrets=': PSK "something else"')
    done = both.west.ipsec("auto", "--up", "net", check=False, timeout=30)
    assert done.returncode != 0, done.stdout
    assert "AUTHENTICATION_FAILED" in done.stdout, done.stdout
    wait_for("no states left", lambda: "STATE_" not in both.east.status(), 5)
    assert not both.west.tunnels()


def test_no_common_proposal_is_refused_in_one_line(lab: Lab) -> None:
    both = pair(lab, mix(4, 4, ike="aes128-sha2_256-modp2048"), mix(4, 4, ike="aes256-sha2_512-dh31"))
    done = both.west.ipsec("auto", "--up", "net", check=False, timeout=30)
    assert done.returncode != 0, done.stdout
    assert "NO_PROPOSAL_CHOSEN" in done.stdout, done.stdout
    wait_for("no states left", lambda: "STATE_" not in both.east.status(), 5)
