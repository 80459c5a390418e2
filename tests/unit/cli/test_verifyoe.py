# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec verify --oe`: what is said of each state of the DNS, the firewall and the daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.address import Address
from openswan.cli import verify, verifyoe
from openswan.cli.verdict import Finding, Scene
from openswan.crypto.dnskey import record_octets
from openswan.crypto.rsakey import PublicKey
from openswan.engine.oeevents import Learned, Verdict
from openswan.host import process
from openswan.host.oelookup import NameKeys
from openswan.policy.dnsanswer import DnsStatus
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade
from tests.netns.keys import pem
from tests.unit.cli.cardboard import Cardboard

KEY, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate().public_key()
MINE = KEY.public_key()
HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.99")
NAME = "gw.example.org"
CONF = "version 2.0\nconfig setup\n    oe=yes\n"


def gateway(address: Address, key: PublicKey, grade: Grade = Grade.DNSSEC) -> Gateway:
    return Gateway(address, key, record_octets(key)[1], 10, "IPSECKEY", grade)


def learned(verdict: Verdict, *gateways: Gateway, reason: str = "") -> Learned:
    return Learned(HERE, verdict, gateways, 60.0, reason)


@dataclass
class Dns:
    """What it says of the host."""

    address: Learned = field(default_factory=lambda: learned(Verdict.NONE, reason="no IPSECKEY or TXT record"))
    complaints: tuple[str, ...] = ()
    name: NameKeys = field(default_factory=lambda: keys(DnsStatus.ABSENT, reason="no key is published"))


def keys(status: DnsStatus, *found: PublicKey, grade: Grade = Grade.DNSSEC, reason: str = "") -> NameKeys:
    return NameKeys(tuple((each, record_octets(each)[1]) for each in found), grade, status, 60.0, reason, ())


@pytest.fixture
def dns(places: Path, monkeypatch: pytest.MonkeyPatch) -> Dns:
    """A host with a key and groups, and the DNS."""
    private = places / "ipsec.d/private"
    private.mkdir(parents=True)
    (private / "host.pem").touch(mode=0o600)
    (private / "host.pem").write_bytes(pem(KEY))
    (places / "ipsec.secrets").touch(mode=0o600)
    (places / "ipsec.secrets").write_text(": RSA host.pem\n")
    (places / "ipsec.conf").write_text(CONF)
    said = Dns()
    monkeypatch.setattr(
        verifyoe, "published", lambda addresses, names: ([(said.address, said.complaints)], [said.name for _ in names])
    )
    return said


def findings(rules: str = "") -> dict[str, Finding]:
    scene = Scene(Cardboard(addresses=[str(HERE)], rules=rules), NAME, None, False)
    return {one.text.strip(): one for check in verifyoe.CHECKS for one in check(scene)}


def of_address() -> Finding:
    return findings()[f"Gateway of {HERE} in the DNS"]


def of_name() -> Finding:
    return findings()[f"Keys of {NAME} in the DNS"]


@pytest.mark.parametrize(
    ("said", "verdict", "hint"),
    [
        (learned(Verdict.NONE, reason="no IPSECKEY or TXT record"), "MISSING", "no IPSECKEY or TXT record"),
        (learned(Verdict.FAILED, reason="no server answered"), "WARNING", "no server answered"),
        (learned(Verdict.BOGUS, reason="signatures are wrong"), "FAILED", "sign the zone anew"),
        (learned(Verdict.GATEWAYS, gateway(HERE, MINE)), "OK", "IPSECKEY: 192.0.2.1, precedence 10, signed"),
        (learned(Verdict.GATEWAYS, gateway(HERE, MINE, Grade.DNS)), "OK", "not signed"),
        (learned(Verdict.GATEWAYS, gateway(HERE, OTHER)), "FAILED", "another key than the one ipsec.secrets has"),
        (learned(Verdict.GATEWAYS, gateway(THERE, OTHER)), "OK", "peers reach it through 192.0.2.99"),
    ],
    ids=lambda each: each.verdict.name if isinstance(each, Learned) else None,
)
def test_the_records_of_an_address(dns: Dns, said: Learned, verdict: str, hint: str) -> None:
    dns.address = said
    found = of_address()
    assert found.verdict == verdict and hint in " ".join(found.hints)


def test_records_that_cannot_be_used_are_named(dns: Dns) -> None:
    dns.complaints = ("TXT record of 1.2.0.192.in-addr.arpa is not used: malformed key data",)
    assert of_address().hints == dns.complaints


@pytest.mark.parametrize(
    ("said", "verdict", "hint"),
    [
        (keys(DnsStatus.ABSENT, reason="no key is published"), "MISSING", "only by who calls itself by its name"),
        (keys(DnsStatus.FAILED, reason="timeout"), "WARNING", "timeout"),
        (keys(DnsStatus.BOGUS, reason="wrong"), "FAILED", "sign the zone anew"),
        (keys(DnsStatus.FOUND, OTHER, MINE), "OK", "signed"),
        (keys(DnsStatus.FOUND, MINE, grade=Grade.DNS), "OK", "not signed"),
        (keys(DnsStatus.FOUND, OTHER), "FAILED", f"the one that ipsec.secrets has for @{NAME}"),
    ],
    ids=lambda each: each.status.name if isinstance(each, NameKeys) else None,
)
def test_the_keys_of_a_name(dns: Dns, said: NameKeys, verdict: str, hint: str) -> None:
    dns.name = said
    found = of_name()
    assert found.verdict == verdict and hint in " ".join(found.hints)


def test_the_records_to_publish_are_printed(dns: Dns) -> None:
    (lines,) = [one.hints for text, one in findings().items() if text.startswith("Records to publish")]
    assert [line.split("\t")[0::2] for line in lines] == [
        ["1.2.0.192.in-addr.arpa.", "IPSECKEY"],
        [f"{NAME}.", "IPSECKEY"],
    ]


def test_without_a_key_it_says_how_to_make_one(dns: Dns, places: Path) -> None:
    (places / "ipsec.secrets").write_text('192.0.2.1 : PSK "x"\n')
    (found,) = [one for text, one in findings().items() if text.startswith("Records to publish")]
    assert found.verdict == "MISSING" and "ipsec newhostkey" in found.hints[0]


@pytest.mark.parametrize(
    ("alive", "told", "verdict"), [(False, True, "WARNING"), (False, False, "N/A"), (True, True, "OK")]
)
def test_who_is_told_of_us_must_be_answered(
    dns: Dns, monkeypatch: pytest.MonkeyPatch, alive: bool, told: bool, verdict: str
) -> None:
    if told:
        dns.address = learned(Verdict.GATEWAYS, gateway(HERE, MINE))
    monkeypatch.setattr(process, "pid_state", lambda path: process.PidState(True, 1, alive))
    assert findings()["Does pluto answer whom the DNS sends?"].verdict == verdict


def test_rules_for_one_interface_by_name_do_not_cover_strangers(dns: Dns) -> None:
    rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i eth0 -p tcp --dport 80 -j DROP\nCOMMIT\n"
    found = findings(rules)["Firewall rules that spare ipsec1"]
    assert found.verdict == "WARNING"
    assert found.hints[0].startswith("-A INPUT -i eth0") and "comes out of ipsec1" in found.hints[-2]


def test_the_device_is_the_configured_one(dns: Dns, places: Path) -> None:
    (places / "ipsec.conf").write_text(CONF + "    oe-interface=ipsec3\n")
    assert "Firewall rules that spare ipsec3" in findings()


@pytest.mark.parametrize(
    ("conf", "verdict", "hint"),
    [(CONF, "OK", "private-or-clear"), ("version 2.0\n", "DISABLED", "oe=yes"), ("x", "DISABLED", "oe")],
)
def test_groups(dns: Dns, places: Path, conf: str, verdict: str, hint: str) -> None:
    (places / "ipsec.conf").write_text(conf)
    found = findings()["Policy groups"]
    assert found.verdict == verdict and hint in found.hints[0]


def test_the_command(dns: Dns, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "Machine", lambda: Cardboard(addresses=[str(HERE)]))
    assert verify.main(["--oe"]) == 0
    assert "Records to publish" in capsys.readouterr().out
    dns.address = learned(Verdict.GATEWAYS, gateway(HERE, OTHER))
    assert verify.main(["--oe", "--host", NAME]) == 1
