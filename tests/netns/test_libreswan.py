# SPDX-License-Identifier: GPL-2.0-or-later
"""Against libreswan on a stock Linux kernel: raw ESP (protocol 50), IKEv2, secrets, either side initiating.

    sunset ----lan---- west (ours) =======wan======= virtual machine: libreswan, 192.0.2.2, behind it 10.2.0.1

The machine boots once, and one daemon of ours serves all tests; after each both must have forgotten everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, LabError, wait_for
from tests.netns.libreswan import HEAD, Libreswan, Peers
from tests.netns.traffic import Flow, Receiver, assert_ping, learn_path

pytestmark = [
    pytest.mark.peer,
    pytest.mark.matrix,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("kernelpeer"),
]

ALGORITHMS = (
    "aes_gcm128", "aes_gcm256", "aes128-sha2_256", "aes256-sha2_512", "aes256-sha1", "chacha20_poly1305",
    "aes_gcm_8_128", "aes_gcm_12_256", "aes_ccm_8_128", "aes_ccm_12_256", "aes_ccm_16_192", "aes_ctr128-sha2_256",
    "aes128-sha2_384", "aes128-aes_xcbc", "aes128-aes_cmac", "3des-md5", "null-sha2_256", "null_auth_aes_gmac_256",
)  # fmt: skip
NETS4 = {"leftsubnet": NET4["leftsubnet"], "rightsubnet": NET4["rightsubnet"]}
NETS6 = {"leftsubnet": NET6["leftsubnet"], "rightsubnet": NET6["rightsubnet"]}
SHAPES = {
    "net": NET4,
    "6in4": {**NET4, **NETS6},
    "6in6": NET6,
    "4in6": {**NET6, **NETS4},
    "udp": {**NET4, "right": "192.0.2.8", "leftsubnet": "10.1.0.2/32", "rightsubnet": "10.2.0.1/32"},
}
RAW = {"encapsulation": "no"}
# Further addresses of the guest: a connection between the hosts themselves must not cut off who gives it orders.
FURTHER = (
    "192.0.2.3/24",
    "192.0.2.4/24",
    "192.0.2.5/24",
    "192.0.2.6/24",
    "192.0.2.7/24",
    "192.0.2.8/24",
    "2001:db8::3/64",
)
MODES = {
    "host": {"left": "192.0.2.1", "right": "192.0.2.3", "authby": "secret", "type": "transport"},
    "host6": {
        "left": "2001:db8::1", "right": "2001:db8::3", "authby": "secret", "type": "transport", "compress": "yes",
    },
    "ahhost": {
        "left": "192.0.2.1", "right": "192.0.2.4", "authby": "secret", "type": "transport",
        "phase2": "ah", "phase2alg": "sha2_512",
    },
    "ah": {
        **NET4, "leftsubnet": "10.1.0.0/25", "rightsubnet": "10.2.0.0/25",
        "phase2": "ah", "phase2alg": "sha2_256,aes_xcbc",
    },
    "null": {
        # An address of its own: as responder libreswan prefers whatever other conn has the same two addresses.
        **NET4, "right": "192.0.2.5", "leftsubnet": "10.1.0.0/27", "rightsubnet": "10.2.0.0/27",
        "authby": "null", "leftid": "%null", "rightid": "%null",
    },
    "ppk": {
        **NET4, "right": "192.0.2.6", "leftsubnet": "10.1.0.0/28", "rightsubnet": "10.2.0.0/28", "ppk": "insist",
    },
    "between": {
        **NET4, "right": "192.0.2.7", "leftsubnet": "10.1.0.0/29", "rightsubnet": "10.2.0.0/29", "intermediate": "yes",
    },
    "comp": {**NET4, "leftsubnet": "10.1.0.0/26", "rightsubnet": "10.2.0.0/26", "compress": "yes"},
}  # fmt: skip
"""Connections that the kernel has exactly as we do."""
RAW_ALL = {**RAW, "esp": ",".join(ALGORITHMS)}
KERNEL = HEAD + "".join(
    conn(name, base, ikev2="insist", auto="ignore", **({"encapsulation": "yes"} if name == "udp" else RAW_ALL))
    for name, base in SHAPES.items()
)
KERNEL += "".join(conn(name, base, ikev2="insist", auto="ignore", **RAW) for name, base in MODES.items())
KERNEL_SECRETS = SECRETS.replace(
    ":",
    "192.0.2.2 192.0.2.1 192.0.2.3 192.0.2.4 192.0.2.6 192.0.2.7 192.0.2.8 2001:db8::2 2001:db8::1 2001:db8::3 :",
    1,
)
PPK = 'PPKS "one" "thirty-two octets or more that only these two gateways know"\n'
KERNEL_SECRETS += f"\n192.0.2.6 192.0.2.1 : {PPK}"


@dataclass
class Stage(Peers):
    """Both gateways and what ours was given."""

    conns: list[str] = field(default_factory=list)
    revived: str = ""

    def up(self, who: str = "we", name: str = "net", **more: str) -> None:
        """Load our conn and bring it up from either side; the kernel holds both SAs afterwards."""
        self.west.configure(conn(name, {**SHAPES, **MODES}.get(name, NET4), auto="add", **{**RAW, **more}))
        self.west.ipsec("auto", "--add", name)
        self.conns.append(name)
        if who == "we":
            self.west.up(name)
        else:
            self.revived = name
            self.east.sh(f"ipsec auto --up {name}")
        self.west.wait_tunnels()

    def prove_all(self, name: str = "net") -> None:
        """Pings between the networks of one of SHAPES, as protocol 50."""
        v6 = ("2001:db8:2::1", "2001:db8:1::2", "2001:db8:1::1")
        self.prove(*(v6 if name.startswith("6") else ()))

    def clear(self) -> None:
        """Take our conns away; the peer is told and lets go."""
        names, self.conns = self.conns, []
        if self.revived:  # what libreswan has brought up it brings up again, whoever deletes it
            self.east.sh(f"ipsec auto --down {self.revived}; ipsec auto --unroute {self.revived}", check=False)
            self.revived = ""
        for name in names:
            self.west.ipsec("auto", "--delete", name)
            if name in MODES or name == "udp":
                # Its trap would catch traffic of other conns, and so would what it begins anew by itself.
                self.east.sh(f"ipsec auto --down {name}; ipsec auto --unroute {name}", check=False)
                self.east.sh(f"ipsec auto --replace {name}", check=False)
        wait_for("our states to end", lambda: "STATE_" not in self.west.status(), 8, 0.2)
        wait_for("the kernel's SAs to go", lambda: not re.search("proto (esp|ah|comp)", self.kernel()), 8, 0.2)


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab("vm") as lab:
        east = Libreswan(lab.west, KERNEL, KERNEL_SECRETS)
        for address in FURTHER:
            east.sh(f"ip addr add {address} dev eth0 {'nodad' if ':' in address else ''}")
        east.sh("ipsec whack --listen")
        west = Gateway(lab.west, "", f"{SECRETS}\n: {PPK}")
        west.start()
        yield Stage(lab, west, east)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage, empty before and afterwards; both logs are shown when the test fails."""
    try:
        yield _stage
        _stage.clear()
    except BaseException:
        for name in (*SHAPES, *MODES):
            _stage.east.sh(f"ipsec auto --down {name}; ipsec auto --unroute {name}", check=False)
        raise
    finally:
        print(_stage.east.log(), _stage.west.log(), sep="\n")


@pytest.mark.parametrize(
    ("who", "name"), [("we", "net"), ("they", "net"), ("they", "6in4"), ("we", "6in6"), ("they", "4in6")]
)
def test_raw_esp(stage: Stage, who: str, name: str) -> None:
    stage.up(who, name)
    stage.prove_all(name)
    kernel = stage.kernel()
    assert "proto esp" in kernel and "encap" not in kernel, kernel
    if who == "we":
        stage.west.ipsec("auto", "--down", name)
    else:
        stage.east.sh(f"ipsec auto --down {name}")
    wait_for("both to be down", lambda: not stage.west.tunnels() and "proto esp" not in stage.kernel(), 10, 0.2)


@pytest.mark.long
@pytest.mark.parametrize("who", ["we", "they"])
def test_udp_when_both_want_it(stage: Stage, who: str) -> None:
    stage.up(who, "udp", encapsulation="yes")
    assert "type espinudp" in stage.kernel()
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)


@pytest.mark.long
def test_tcp_through_raw_esp(stage: Stage) -> None:
    stage.up()
    # A server for each run: between two runs one server does not listen for a moment.
    directions: dict[str, tuple[str, ...]] = {"5201": (), "5202": ("-R",)}
    for port in directions:
        stage.east.sh(f"iperf3 -s -1 -D -B 10.2.0.1 -p {port} --logfile /tmp/iperf3-{port}.log")
    stage.east.sh("sleep 1")
    with Capture(stage.lab.west, "tap0") as wire:
        for port, options in directions.items():
            stage.lab.sunset.run("iperf3", "-c", "10.2.0.1", "-p", port, "-n", "2M", *options, timeout=60)
        assert_quiet(wire, INNER)
    stage.east.sh("pkill iperf3", check=False)


@pytest.mark.parametrize("esp", ALGORITHMS)
def test_esp_algorithms_against_the_kernel(stage: Stage, esp: str) -> None:
    stage.up(esp=esp)
    assert_ping(stage.lab.sunset, "10.2.0.1", size=1300, wait=4)


@pytest.mark.parametrize(
    ("name", "who", "shows"),
    [
        ("host", "we", "proto esp"),
        ("host", "they", "proto esp"),
        ("host6", "they", "proto comp"),
        ("ahhost", "we", "proto ah"),
        ("ah", "they", "proto ah"),
        ("ah", "we", "proto ah"),
        ("comp", "we", "proto comp"),
        ("comp", "they", "proto comp"),
    ],
)
def test_transport_mode_ah_and_compression(stage: Stage, name: str, who: str, shows: str) -> None:
    stage.up(who, name)
    kernel = stage.kernel()
    assert shows in kernel and ("mode transport" in kernel) == (name not in ("ah",)), kernel
    hosts = "host" in name
    far, near = MODES[name]["right"], MODES[name]["left"]
    here = stage.lab.west if hosts else stage.lab.sunset
    if not hosts:
        far, near = "10.2.0.1", "10.1.0.2"
        learn_path(here, far, 1472)
    for size in (56, 1300) if hosts else (56, 1300, 4000):
        assert_ping(here, far, size=size, wait=4)
    for size in (56, 1300):
        answer = stage.east.sh(f"ping -n -c 2 -i 0.2 -W 4 -s {size} -I {far} {near}")
        assert "2 received" in answer, answer
    rows = stage.west.json("spi")
    assert all(row["packets"] > 5 for row in rows if row["said"].startswith(shows.split()[1])), rows


@pytest.mark.parametrize("who", ["we", "they"])
def test_a_postquantum_preshared_key(stage: Stage, who: str) -> None:
    """Both insist on it (RFC 8784)."""
    stage.up(who, "ppk")
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
    assert stage.west.logged("PPK 'one' used as additional IKE secret")
    assert "PPK" in stage.east.log()


@pytest.mark.parametrize("who", ["we", "they"])
def test_an_exchange_between(stage: Stage, who: str) -> None:
    """IKE_INTERMEDIATE with nothing in it; AUTH of both covers it (RFC 9242)."""
    stage.up(who, "between")
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
    assert "IKE_INTERMEDIATE" in stage.east.log(), stage.east.log()


@pytest.mark.parametrize("who", ["we", "they"])
def test_null_authentication(stage: Stage, who: str) -> None:
    """Neither end proves anything (RFC 7619), and both say so."""
    stage.up(who, "null")
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
    assert "theirsig=NULL" in stage.west.log() and "'ID_NULL'" in stage.east.log()


@pytest.mark.parametrize(("esn", "who"), [("no", "we"), ("yes", "we"), ("no", "they"), ("yes", "they")])
def test_extended_sequence_numbers_as_we_wish(stage: Stage, esn: str, who: str) -> None:
    stage.up(who, esn=esn)
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
    assert len(re.findall(r"flag \S*( ?\S+)* esn", stage.kernel())) == (2 if esn == "yes" else 0), stage.kernel()
    assert ("esn=yes" in stage.west.status()) == (esn == "yes")


@contextmanager
def nothing_lost_meanwhile(stage: Peers, within: float) -> Iterator[None]:
    """Fifty datagrams a second to the guest and back until both kinds of SA are others, `within` seconds at most."""
    before, spis, strangers = serials(stage.west), stage.spis(), unknown(stage.west)
    back = Receiver(stage.lab.sunset, "10.1.0.2", 7002)
    flow = Flow(stage.lab.sunset, "10.1.0.2", "10.2.0.1", 7001, b"<<echo>>", pace=0.02).start()
    try:
        yield
        later = lambda: min(a - b for a, b in zip(serials(stage.west), before, strict=True)) > 0  # noqa: E731
        wait_for("later serials", later, within, 0.2)
        wait_for("other SAs in the kernel", lambda: not spis & stage.spis(), within, 0.5)
    finally:
        flow.stop()
    try:
        wait_for("the last echo", lambda: len(back.got) >= flow.sent or None, 4)
    except LabError as why:
        raise AssertionError(f"{why}; {unknown(stage.west) - strangers} came for an SA we did not have") from None
    back.close()
    assert not flow.errors, flow.errors
    assert sorted(back.numbers(flow.marker)) == list(range(flow.sent))


@pytest.mark.long
@pytest.mark.parametrize("who", ["we", "they"])
@pytest.mark.parametrize("which", ["theirs", "ours"])
def test_rekeys_lose_nothing(stage: Stage, which: str, who: str) -> None:
    """Both kinds of SA are replaced while datagrams travel."""
    if which == "theirs":
        stage.up(who)
    else:
        stage.up(who, ikelifetime="14s", salifetime="12s", rekeymargin="20s", rekeyfuzz="0%")
    with nothing_lost_meanwhile(stage, 15):
        if which == "theirs":
            for what in ("ipsec", "ike", "ipsec"):
                # The IKE SA bears the name of whichever conn between these addresses libreswan met first.
                names = (*SHAPES, *MODES) if what == "ike" else ("net",)
                stage.east.sh("; ".join(f"ipsec whack --rekey-{what} --name {name}" for name in names), check=False)
    stage.prove()


def unknown(gateway: Gateway) -> int:
    """ESP datagrams for SPIs its engine does not have (yet)."""
    return int(gateway.json("whack", "--counters")["engine"]["no_sa"])


def serials(gateway: Gateway) -> tuple[int, int]:
    """Its newest ISAKMP and IPsec SA."""
    status = gateway.status()
    found = re.search(r"newest ISAKMP SA: #(\d+); newest IPsec SA: #(\d+)", status)
    assert found, status
    return int(found[1]), int(found[2])
