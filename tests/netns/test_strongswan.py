# SPDX-License-Identifier: GPL-2.0-or-later
"""Against strongSwan: either side initiates, proves itself in every way, rekeys, deletes, falls silent and comes back.

    sunset ----lan---- west (ours) =======wan======= east (strongSwan) ----lan---- sunrise

One charon and one daemon of ours serve the whole module; after each test both must have forgotten everything.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority, new_key, pem
from tests.netns.lab import Lab, wait_for
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.test_rekey import assert_all_arrived, flows
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping, learn_path, transfer

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("strongswan")]

OUTSIDE = {4: ("192.0.2.2", "192.0.2.1"), 6: ("2001:db8::2", "2001:db8::1")}
INSIDE = {4: ("10.2.0.0/24", "10.1.0.0/24"), 6: ("2001:db8:2::/64", "2001:db8:1::/64")}
HASTY = "cookie_threshold = 1\n  retransmit_timeout = 1\n  retransmit_tries = 3\n  retransmit_base = 1.5"
"""charon asks for cookies as soon as one SA is half open, and gives a silent peer up after 8 seconds."""


def child(name: str = "net", inside: int = 4, more: str = "", mine: str = "", his: str = "") -> str:
    """One of strongSwan's children."""
    ours, theirs = INSIDE[inside]
    return f"{name} {{\n local_ts = {mine or ours}\n remote_ts = {his or theirs}\n {more}\n }}"


def swanctl(
    auth: str = "auth = psk",
    west: str = "auth = psk",
    ike: str = "",
    outside: int = 4,
    children: str = "",
    esp: str = "",
) -> str:
    """swanctl.conf of east: one connection `lab`, by default with one child `net`."""
    me, him = OUTSIDE[outside]
    children = children or child(more=f"esp_proposals = {esp}" if esp else "")
    return f"""
connections {{
  lab {{
    version = 2
    local_addrs = {me}
    remote_addrs = {him}
    {ike}
    local {{
      {auth}
    }}
    remote {{
      {west}
    }}
    children {{
      {children}
    }}
  }}
}}
{SECRET}
"""


@dataclass
class Stage:
    """Both gateways, and what a test has given ours."""

    lab: Lab
    west: Gateway
    east: StrongSwan
    conns: list[str] = field(default_factory=list)

    def play(
        self, theirs: str, ours: dict[str, str], secrets: str = SECRETS, files: dict[str, bytes] | None = None
    ) -> None:
        """Give either side its part; `ours` holds the text of each conn by its name."""
        self.east.load(theirs, files)
        self.west.configure("".join(ours.values()), secrets)
        self.west.ipsec("auto", "--rereadall")
        for name in ours:
            self.conns.append(name)
            self.west.ipsec("auto", "--add", name)

    def up(self, who: str, name: str = "net", count: int = 1) -> None:
        """Bring a tunnel up from either side, and wait until both have it."""
        if who == "we":
            self.west.up(name)
        else:
            self.east.initiate(name)
        self.west.wait_tunnels(count)
        self.east.wait_children(count)

    def counts(self) -> tuple[int, int, int]:
        """strongSwan's IKE SAs and children, and our SAs of ESP."""
        return len(self.east.ike_spis()), len(self.east.child_spis()), len(self.west.json("spi"))

    def prove(self, inside: int = 4) -> None:
        """Pings and TCP both ways, nothing but ESP and IKE on the wire."""
        lab = self.lab
        near, far = {4: ("10.1.0.2", "10.2.0.2"), 6: ("2001:db8:1::2", "2001:db8:2::2")}[inside]
        with Capture(lab.west) as wire:
            assert_ping(lab.sunset, far)
            learn_path(lab.sunset, far, 1472)
            assert_ping(lab.sunset, far, size=1472)
            assert_ping(lab.sunrise, near)
            assert transfer(lab.sunset, lab.sunrise, far, 1 << 20).intact
            assert transfer(lab.sunrise, lab.sunset, near, 1 << 20).intact
            assert_quiet(wire, INNER)
            assert wire.count()["esp-udp"] > 100

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Two hundred datagrams a second meanwhile, every one of which must arrive, once and in order."""
        running = flows(self.lab)
        try:
            yield
            assert_all_arrived(running)
        finally:
            for flow, heard in running:
                flow.stop()
                heard.close()

    def clear(self) -> None:
        """Take our conns away: the peer hears of it, and nothing stays on either side."""
        names, self.conns = self.conns, []
        for name in names:
            self.west.ipsec("auto", "--delete", name)
        wait_for("strongSwan to be told", lambda: "ESTABLISHED" not in self.east.sas(), 4, 0.1)
        wait_for("our states to end", lambda: "STATE_" not in (text := self.west.status()) and '"' not in text, 4, 0.1)
        assert self.lab.west.run("nft", "list", "ruleset").stdout.count("10.2.0.0") == 0


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab() as lab:
        east = StrongSwan(lab.east, settings=HASTY)
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        yield Stage(lab, west, east)


@pytest.fixture
def stage(_stage: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage, empty before and afterwards; both logs are shown when the test fails."""
    try:
        yield _stage
        _stage.clear()
    finally:
        print(_stage.east.log(), _stage.west.log(), sep="\n")
        for name in _stage.conns:
            _stage.west.ipsec("auto", "--delete", name, check=False)
        _stage.conns.clear()
        _stage.east.forget()


def net(**more: str) -> dict[str, str]:
    """Our only conn, `net`."""
    return {"net": conn("net", NET4, auto="add", **more)}


who = pytest.mark.parametrize("who", ["we", "they"])


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("who", "inside", "outside"),
    [("we", 4, 4), ("they", 4, 4), ("we", 6, 6), ("they", 6, 6), ("we", 6, 4), ("they", 4, 6)],
)
def test_secrets_and_families(stage: Stage, who: str, inside: int, outside: int) -> None:
    nets = NET4 if inside == 4 else NET6
    ours = conn("net", NET4 if outside == 4 else NET6, leftsubnet=nets["leftsubnet"], rightsubnet=nets["rightsubnet"],
                auto="add")  # fmt: skip
    stage.play(swanctl(outside=outside, children=child(inside=inside)), {"net": ours})
    stage.up(who)
    stage.prove(inside)


@pytest.mark.parametrize(("who", "ids"), [("we", "fqdn"), ("they", "dn")])
def test_certificates(stage: Stage, authority: Authority, who: str, ids: str) -> None:
    """RSA and ECDSA; who one is may be a name of the certificate or its whole subject."""
    mine, kind = authority.issue("east.example"), authority.kind
    names = {
        side: f"{side}.example" if ids == "fqdn" else f"C=CH, O=Lab, CN={side}.example" for side in ("west", "east")
    }
    mark = "@" if ids == "fqdn" else ""
    files = {"x509ca/lab.pem": authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    stage.play(
        swanctl(
            f"auth = pubkey\n certs = east.pem\n id = \"{names['east']}\"",
            f"auth = pubkey\n id = \"{names['west']}\"",
        ),
        net(authby=kind.replace("rsa", "rsasig"), leftcert="west.example.pem", rightrsasigkey="%cert",
            leftid=f'"{mark}{names["west"]}"', rightid=f'"{mark}{names["east"]}"'),
        certified(stage.west, authority, "west.example"),
        files,
    )  # fmt: skip
    stage.up(who)
    stage.prove()


@who
def test_large_certificates_and_a_chain_go_in_fragments_of_ike(
    stage: Stage, rsa_authority: Authority, who: str
) -> None:
    """Leaves of four kilobytes, theirs below an intermediate authority: no datagram needs fragments of IP."""
    many = tuple(f"{number}.a-long-name-of-a-service.example" for number in range(70))
    below = rsa_authority.subordinate("Lab intermediate CA")
    mine = below.issue("east.example", also=many)
    files = {
        "x509ca/lab.pem": rsa_authority.pem,
        "x509ca/below.pem": below.pem,
        "x509/east.pem": mine.cert,
        "private/east.pem": mine.key,
    }
    stage.play(
        swanctl(
            "auth = pubkey\n certs = east.pem\n id = east.example",
            "auth = pubkey\n id = west.example",
            ike="send_cert = always",
        ),
        net(authby="rsasig", leftcert="west.example.pem", rightrsasigkey="%cert",
            leftid="@west.example", rightid="@east.example"),
        certified(stage.west, rsa_authority, "west.example", also=many),
        files,
    )  # fmt: skip
    with Capture(stage.lab.west) as wire:
        stage.up(who)
        assert not [s for s in wire.packets() if s.kind.startswith("fragment")]
        assert max(len(s.data) for s in wire.packets()) <= 1514
    log = stage.east.log()
    assert " EF(3/" in log and "received fragment #3 of" in log and "sending issuer cert" in log, log
    assert_ping(stage.lab.sunset, "10.2.0.2")


RAW_KEYS = (
    "auth = pubkey\n pubkeys = east.pem\n id = east.example",
    "auth = pubkey\n pubkeys = west.pem\n id = west.example",
)


def raw_rsa_keys(stage: Stage, theirs: str, **more: str) -> None:
    """Neither side has certificates: each knows the other's public key."""
    ours, key = stage.west.new_rsa_key().removeprefix("0s"), new_key("rsa")
    files = {
        "private/east.pem": pem(key),
        "pubkey/west.pem": public_pem(ours),
        "pubkey/east.pem": public_pem(rfc3110(key)),
    }
    keys = {"leftrsasigkey": "0s" + ours, "rightrsasigkey": "0s" + rfc3110(key)}
    mine = net(authby="rsasig", leftid="@west.example", rightid="@east.example", **keys, **more)
    stage.play(theirs, mine, (stage.west.dir / "ipsec.secrets").read_text(), files)


@who
def test_raw_rsa_keys(stage: Stage, who: str) -> None:
    raw_rsa_keys(stage, swanctl(*RAW_KEYS))
    stage.up(who)


def rfc3110(key: object) -> str:
    """A public key as DNS holds it, in base 64."""
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.public_key().public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return base64.b64encode(b"\x03" + numbers.e.to_bytes(3, "big") + modulus).decode()


def public_pem(text: str) -> bytes:
    """The same as PEM."""
    raw = base64.b64decode(text)
    exponent, modulus = raw[1 : 1 + raw[0]], raw[1 + raw[0] :]
    key = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    style = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, style)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("who", "ours", "theirs"),
    [
        ("we", "aes_gcm128", "aes128gcm16"),
        ("they", "aes_gcm256", "aes256gcm16"),
        ("we", "chacha20_poly1305", "chacha20poly1305"),
        ("they", "aes128-sha1", "aes128-sha1"),
        ("we", "aes128-sha2_256", "aes128-sha256"),
        ("they", "aes256-sha2_384", "aes256-sha384"),
        ("we", "aes256-sha2_512", "aes256-sha512"),
    ],
)
def test_esp_algorithms(stage: Stage, who: str, ours: str, theirs: str) -> None:
    stage.play(swanctl(esp=theirs), net(esp=ours))
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2", size=1300)
    assert transfer(stage.lab.sunset, stage.lab.sunrise, "10.2.0.2", 1 << 20).intact
    assert transfer(stage.lab.sunrise, stage.lab.sunset, "10.1.0.2", 1 << 20).intact


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("who", "group", "ours", "theirs"),
    [
        ("they", "modp2048", "aes128-sha1-dh14", "aes128-sha1-modp2048"),
        ("we", "modp3072", "aes256-sha2_256-modp3072", "aes256-sha256-modp3072"),
        ("they", "modp4096", "aes256-sha2_512-modp4096", "aes256-sha512-modp4096"),
        ("we", "modp6144", "aes256-sha2_256-dh17", "aes256-sha256-modp6144"),
        ("they", "modp8192", "aes256-sha2_256-dh18", "aes256-sha256-modp8192"),
        ("we", "ecp256", "aes_gcm128-sha2_256-dh19", "aes128gcm16-prfsha256-ecp256"),
        ("they", "ecp384", "aes_gcm256-sha2_384-dh20", "aes256gcm16-prfsha384-ecp384"),
        ("we", "ecp521", "chacha20_poly1305-sha2_256-dh21", "chacha20poly1305-prfsha256-ecp521"),
        ("they", "curve25519", "aes128-sha2_384-dh31", "aes128-sha384-curve25519"),
    ],
)
def test_ike_algorithms_and_groups(stage: Stage, who: str, group: str, ours: str, theirs: str) -> None:
    """The group serves IKE_SA_INIT, a rekeyed IKE SA and a rekeyed child."""
    stage.play(swanctl(ike=f"proposals = {theirs}", esp=f"aes256gcm16-{group}"), net(ike=ours, pfs="yes"))
    stage.up(who)
    rekey(stage, "ike")
    rekey(stage, "child")
    assert_ping(stage.lab.sunset, "10.2.0.2")


def rekey(stage: Stage, what: str) -> None:
    """strongSwan replaces its SA; returns once it has a new one."""
    east = stage.east
    spis = east.child_spis if what == "child" else east.ike_spis
    before = set(spis())
    east.ctl("--rekey", f"--{what}", "net" if what == "child" else "lab")
    wait_for(f"a new {what} SA", lambda: set(spis()) - before, 8, 0.1)


@who
def test_the_first_group_is_not_the_peers(stage: Stage, who: str) -> None:
    """The initiator guesses wrong and is told better: INVALID_KE_PAYLOAD."""
    ours, theirs = ("aes256-sha2_256-dh31,aes256-sha2_256-dh20", "aes256-sha256-ecp384")
    if who == "they":
        ours, theirs = "aes256-sha2_256-dh31", "aes256-sha256-ecp384-curve25519"
    stage.play(swanctl(ike=f"proposals = {theirs}"), net(ike=ours))
    stage.up(who)
    assert "N(INVAL_KE)" in stage.east.log()


def test_we_return_cookies(stage: Stage) -> None:
    """An attempt is cut off after IKE_SA_INIT, and charon asks the next one for a cookie."""
    stage.play(swanctl(), net())
    with silence(stage, "udp", "dport", "4500"):
        stage.west.ipsec("auto", "--asynchronous", "--up", "net")
        wait_for("a half-open SA", lambda: "CONNECTING" in stage.east.sas(), 5)
        stage.west.ipsec("auto", "--down", "net")
    stage.up("we")
    assert "N(COOKIE)" in stage.east.log()


def test_they_return_cookies(stage: Stage) -> None:
    west = stage.west
    west.stop()
    west.configure(setup(**{"force_busy": "yes"}))
    west.start()
    ours = setup(**{"force_busy": "yes"}) + net()["net"]
    stage.play(swanctl(), {"net": ours})
    stage.up("they")
    assert "N(COOKIE)" in stage.east.log()
    assert_ping(stage.lab.sunset, "10.2.0.2")
    stage.clear()
    west.stop()
    west.configure("")
    west.start()


@contextmanager
def silence(stage: Stage, *match: str) -> Iterator[None]:
    """Packets on the wire that match are lost meanwhile, in both directions."""
    for host in (stage.lab.west, stage.lab.east):
        host.run("nft", "add", "table", "inet", "silence")
        host.run("nft", "add", "chain", "inet", "silence", "in", "{ type filter hook prerouting priority -400; }")
        host.run("nft", "add", "rule", "inet", "silence", "in", "iifname", "wan", *match, "drop")
    try:
        yield
    finally:
        for host in (stage.lab.west, stage.lab.east):
            host.run("nft", "delete", "table", "inet", "silence")


@pytest.mark.matrix
@pytest.mark.parametrize(("who", "pfs"), [("we", "yes"), ("they", "no"), ("they", "")])
def test_their_rekeys_lose_nothing(stage: Stage, who: str, pfs: str) -> None:
    """Child, IKE SA and child again; without a group in esp_proposals theirs come without forward secrecy.

    That is refused with pfs=yes only; where nothing is said about pfs, it is logged.
    """
    stage.play(swanctl(esp="aes256gcm16-curve25519" if who == "we" else ""), net(pfs=pfs))
    stage.up(who)
    with stage.steady():
        for what in ("child", "ike", "child", "ike", "child"):
            rekey(stage, what)
    wait_for("the old child SAs to go", lambda: len(stage.west.json("spi")) == 2, 8, 0.2)
    assert ("no key exchange of its own" in stage.west.log()) == (not pfs)


@pytest.mark.matrix
@pytest.mark.parametrize(("who", "pfs"), [("we", "yes"), ("they", "no"), ("they", "")])
def test_our_rekeys_lose_nothing(stage: Stage, who: str, pfs: str) -> None:
    """With lifetimes of seconds; the rekeyed children have fresh key exchanges when `we` begin."""
    stage.play(
        swanctl(esp="aes256gcm16-curve25519" if who == "we" else ""),
        net(ikelifetime="5s", salifetime="4s", rekeymargin="9s", rekeyfuzz="0%", pfs=pfs),
    )
    stage.up(who)
    children, ikes = set(stage.east.child_spis()), set(stage.east.ike_spis())

    def enough() -> bool:
        children.update(stage.east.child_spis())
        ikes.update(stage.east.ike_spis())
        return len(children) >= 3 and len(ikes) >= 3

    with stage.steady():
        wait_for("rekeys of both", enough, 20, 0.2)
    assert "vici rekey" not in stage.east.log()


@pytest.mark.matrix
@pytest.mark.parametrize("what", ["ike", "child"])
def test_both_rekey_at_once(stage: Stage, what: str) -> None:
    """IKE messages are lost until both have asked; then both requests cross, and one SA is left on either side."""
    ours = {"ikelifetime": "12s"} if what == "ike" else {"salifetime": "12s"}
    stage.play(swanctl(esp="aes256gcm16-curve25519"), net(rekeymargin="9s", rekeyfuzz="0%", **ours))
    stage.up("we")

    def rekeyed() -> int:
        return stage.west.log(10_000).count(" rekeying ")

    begun = rekeyed()
    with stage.steady():
        with silence(stage, "udp", "dport", "4500", "@th,64,32", "0"):
            wait_for("our deadline", lambda: rekeyed() > begun, 10, 0.1)
            asking = threading.Thread(target=rekey, args=(stage, what))
            asking.start()
            wait_for("their request", lambda: "generating CREATE_CHILD_SA request" in stage.east.log(), 5, 0.1)
        asking.join()
        wait_for("our request to get there", lambda: "parsed CREATE_CHILD_SA request" in stage.east.log(), 6, 0.1)
        wait_for("one of each", lambda: stage.counts() == (1, 1, 2), 12, 0.2)
    assert_ping(stage.lab.sunrise, "10.1.0.2")


def test_padding_that_hides_lengths(stage: Stage) -> None:
    """What goes to strongSwan has one size, whatever is inside; it does not say that it takes no padding."""
    stage.play(swanctl(), net(tfc="900"))
    stage.up("we")
    with Capture(stage.lab.west) as wire:
        assert_ping(stage.lab.sunset, "10.2.0.2")
        assert_ping(stage.lab.sunset, "10.2.0.2", size=700)
        sizes = {len(seen.data) for seen in wire.packets(lambda s: s.kind == "esp-udp" and s.src == "192.0.2.1")}
    assert len(sizes) == 1 and min(sizes) > 900, sizes


@who
def test_selectors_are_narrowed(stage: Stage, who: str) -> None:
    """The initiator asks for more than the responder gives."""
    wide = "10.0.0.0/8"
    if who == "we":
        stage.play(swanctl(), net(rightsubnet=wide, narrowing="yes"))
    else:
        stage.play(swanctl(children=child(his=wide)), net())
    stage.up(who)
    assert "TS 10.2.0.0/24 === 10.1.0.0/24" in stage.east.log()
    assert_ping(stage.lab.sunset, "10.2.0.2")


@who
def test_two_children_of_one_ike_sa(stage: Stage, who: str) -> None:
    ours = net() | {"net6": conn("net6", NET4, leftsubnet=INSIDE[6][1], rightsubnet=INSIDE[6][0], auto="add")}
    more = "esp_proposals = aes256gcm16-curve25519"
    stage.play(swanctl(children=child(more=more) + "\n" + child("net6", 6, more)), ours)
    stage.up(who)
    stage.up(who, "net6", 2)
    assert len(stage.east.ike_spis()) == 1
    assert_ping(stage.lab.sunset, "10.2.0.2")
    assert_ping(stage.lab.sunrise, "2001:db8:1::2")
    if who == "we":
        stage.west.ipsec("auto", "--down", "net")
    else:
        stage.east.ctl("--terminate", "--child", "net")
    wait_for("one child to be gone", lambda: (stage.west.tunnels(), len(stage.east.child_spis())) == (1, 1), 5, 0.1)
    assert_ping(stage.lab.sunset, "2001:db8:2::2")


@pytest.mark.matrix
@pytest.mark.parametrize("what", ["ike", "child"])
@who
def test_delete(stage: Stage, who: str, what: str) -> None:
    """`who` has brought the tunnel up; the other side takes it down."""
    stage.play(swanctl(), net())
    stage.up(who)
    if who == "they":
        stage.west.ipsec("auto", "--down", "net")
    else:
        stage.east.ctl("--terminate", f"--{what}", "lab" if what == "ike" else "net")
        stage.west.ipsec("auto", "--down", "net")
    wait_for("both to be down", lambda: not stage.west.tunnels() and not stage.east.child_spis(), 5, 0.1)
    with Capture(stage.lab.west) as wire:
        stage.lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.3", "10.2.0.2", check=False)
        assert_quiet(wire, INNER)


def test_they_ask_whether_we_live(stage: Stage) -> None:
    stage.play(swanctl(ike="dpd_delay = 1s"), net())
    stage.up("they")
    wait_for("two answers", lambda: stage.east.log().count("parsed INFORMATIONAL response") >= 2, 6, 0.2)
    assert stage.west.tunnels() == 1


@pytest.mark.matrix
@pytest.mark.parametrize("action", ["hold", "restart"])
def test_we_notice_that_they_are_silent(stage: Stage, action: str) -> None:
    """hold: back to a trap, nothing in clear; restart: the tunnel comes back by itself."""
    stage.play(
        swanctl(),
        net(dpddelay="1s", dpdtimeout="3s", dpdaction=action, **{"retransmit-timeout": "2s"}),
    )
    stage.up("they")
    with Capture(stage.lab.west) as wire:
        with silence(stage, "meta", "l4proto", "udp"):
            wait_for("the tunnel to be given up", lambda: not stage.west.tunnels(), 12, 0.1)
            stage.lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.3", "10.2.0.2", check=False)
            shunt = stage.west.ipsec("eroute").stdout
            assert "%trap" in shunt or "%hold" in shunt, shunt
        if action == "restart":
            stage.west.wait_tunnels()
            assert_ping(stage.lab.sunset, "10.2.0.2", wait=5)
        assert_quiet(wire, INNER)
    stage.east.forget()


@pytest.mark.matrix
@pytest.mark.parametrize("contact", ["replace", "never"])
def test_they_were_reborn(stage: Stage, contact: str) -> None:
    """charon dies without a word and starts anew: its old SAs go at INITIAL_CONTACT, or when nobody answers on them."""
    theirs = swanctl("auth = psk\n id = east", "auth = psk\n id = west", ike=f"unique = {contact}")
    watch = {"dpddelay": "1s", "dpdtimeout": "3s", "dpdaction": "hold", "retransmit-timeout": "2s"}
    stage.play(theirs, net(leftid="@west", rightid="@east", **watch))
    stage.up("they")
    old = {row["said"] for row in stage.west.json("spi")}
    stage.east.revive()
    stage.east.load(theirs)
    stage.up("they")
    if contact == "never":
        # Without INITIAL_CONTACT the first packet on the new SA says that the old one is dead there; its own answer
        # may still be on its way through it.
        stage.lab.sunrise.run("ping", "-c", "1", "-W", "1", "10.1.0.2", check=False)
    assert_ping(stage.lab.sunrise, "10.1.0.2")
    assert_ping(stage.lab.sunset, "10.2.0.2")
    wait_for("the old SAs to go", lambda: not old & {row["said"] for row in stage.west.json("spi")}, 12, 0.2)
    assert ("N(INIT_CONTACT)" in stage.east.log()) == (contact == "replace")
    assert_ping(stage.lab.sunset, "10.2.0.2")


def test_wrong_secret_either_way(stage: Stage) -> None:
    stage.play(swanctl(), net(), ': PSK "something else"')
    done = stage.west.ipsec("auto", "--up", "net", check=False, timeout=30)
    assert done.returncode != 0 and "AUTHENTICATION_FAILED" in done.stdout, done.stdout
    stage.west.ipsec("auto", "--down", "net")
    stage.east.ctl("--initiate", "--child", "net", check=False)
    assert "received AUTHENTICATION_FAILED" in stage.east.log()
    assert not stage.west.tunnels() and not stage.east.child_spis()


@pytest.mark.parametrize("behind", ["we", "they"])
def test_a_masquerading_router_between(nat_lab: Lab, behind: str) -> None:
    """sunset - west ==== [nat] ==== east - sunrise: either of us sits behind it and initiates."""
    lab = nat_lab
    ids = {"leftid": "@west", "rightid": "@east"}
    inner = {"leftsubnet": "10.1.0.0/24", "rightsubnet": "10.2.0.0/24", "authby": "secret", "auto": "add", **ids}
    text = swanctl("auth = psk\n id = @{}", "auth = psk\n id = @{}")
    if behind == "we":
        theirs = text.replace("192.0.2.1", "%any").replace("@{}", "east", 1).replace("@{}", "west", 1)
        east = StrongSwan(lab.east, theirs)
        ours = Gateway(lab.west, conn("net", inner, left="192.168.7.2", right="192.0.2.2"), SECRETS)
        ours.start()
        ours.up("net")
        peer = east
    else:
        theirs = text.replace("192.0.2.2", "192.168.7.2").replace("192.0.2.1", "192.0.2.2")
        theirs = theirs.replace("10.2.", "10.9.").replace("10.1.", "10.2.").replace("10.9.", "10.1.")
        theirs = theirs.replace("@{}", "west", 1).replace("@{}", "east", 1)
        ours = Gateway(lab.east, conn("net", inner, left="%any", right="192.0.2.2"), SECRETS)
        ours.start()
        peer = StrongSwan(lab.west, theirs)
        peer.initiate("net")
    ours.wait_tunnels()
    with Capture(lab.east) as wire:
        assert_ping(lab.sunset, "10.2.0.2")
        assert_ping(lab.sunrise, "10.1.0.2")
        assert transfer(lab.sunset, lab.sunrise, "10.2.0.2", 1 << 20).intact
        # Replaced SAs and a new mapping: what the peer answers to follows.
        peer.ctl("--rekey", "--ike", "lab")
        wait_for("the IKE SA to be rekeyed", lambda: "rekeyed between" in peer.log(), 5)
        assert_ping(lab.sunrise, "10.1.0.2")
        assert_quiet(wire, INNER)
    log = peer.log()
    assert f"{'remote' if behind == 'we' else 'local'} host is behind NAT" in log, log
