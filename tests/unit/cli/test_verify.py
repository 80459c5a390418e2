# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli import verify
from openswan.cli.verdict import Check, Finding, Scene
from openswan.cli.verify import CHECKS, main
from openswan.host.machine import Bound, Machine
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus
from tests.unit.cli.cardboard import Cardboard


def of(check: Check, asked: bool = False, **wrong: Any) -> list[Finding]:
    return list(check(Scene(Cardboard(**wrong), "gw.example.org", None, asked)))


def test_every_check_has_its_words_whatever_the_machine(places: Path) -> None:
    texts = [finding.text.strip() for check in CHECKS for finding in of(check)]
    for text in (
        "Version check and ipsec on-path",
        "Checking for IPsec support in kernel",
        "KLIPS: checking for NAT Traversal support",
        "ICMP default/send_redirects",
        "ICMP default/accept_redirects",
        "XFRM larval drop",
        "Hardware random device check",
        "Two or more interfaces found, checking IP forwarding",
        "Checking rp_filter",
        "Checking that pluto is running",
        "Pluto listening for IKE on udp 500",
        "Pluto listening for IKE on tcp 500",
        "Pluto listening for NAT-T on udp 4500",
        "Checking NAT and MASQUERADEing",
        "Checking 'ip' command",
        "Checking 'iptables' command",
        "Opportunistic Encryption Support",
    ):
        assert text in texts


@pytest.mark.parametrize(
    ("check", "wrong", "text", "verdict", "hint"),
    [
        (verify.engine, {"tun": "/dev/net/tun: No such file"}, "/dev/net/tun", "FAILED", "modprobe tun"),
        (verify.engine, {"queue": "Operation not supported"}, "NFQUEUE", "MISSING", "nfnetlink_queue"),
        (verify.engine, {"rules": "ip daddr @open queue num 4951 bypass"}, "first packets", "OK", "by NFQUEUE"),
        (verify.engine, {"rules": "chain before"}, "first packets", "OK", "ones by the route into ipsecN"),
        (verify.engine, {"tools": ["nft"]}, "first packets", "N/A", "no group"),
        (verify.last_guard, {}, "egress", "OK", "on eth0, eth1"),
        (verify.last_guard, {"egress": "Operation not supported"}, "egress", "N/A", "done without"),
        (verify.last_guard, {"guarded": ()}, "egress", "N/A", "not in use"),
        (verify.last_guard, {"guarded": ("eth0",)}, "egress", "WARNING", "not on eth1"),
        (verify.version, {"tools": ["ipsec"]}, "on-path", "WARNING", "in no directory of the PATH"),
        (verify.redirects, {"ipv4/conf/eth0/send_redirects": 1}, "send", "WARNING", "conf.eth0.send_redirects=0"),
        (verify.forwarding, {"ipv4/ip_forward": 0}, "Two or more", "FAILED", "net.ipv4.ip_forward=1"),
        (verify.forwarding, {"interfaces": ["eth0"]}, "Two or more", "N/A", "eth0"),
        (verify.filtering, {"ipv4/conf/eth1/rp_filter": 1}, "rp_filter", "WARNING", "eth1/rp_filter is 1"),
        (verify.pluto, {}, "is running", "FAILED", "ipsec setup start"),
        (verify.pluto, {"bound": [Bound(500, 9)]}, "udp 500", "FAILED", "in use by charon (process 77)"),
        (verify.masquerading, {"rules": "oifname eth0 masquerade\n masquerade"}, "MASQ", "WARNING", "exempt"),
        (verify.masquerading, {"rules": "oifname eth0 masquerade\n"}, "MASQ", "OK", ""),
        (verify.masquerading, {"tools": ["nft", "iptables-save"]}, "MASQ", "N/A", "neither"),
        (verify.tools, {"tools": ["ip"]}, "'ip'", "NOT FOUND", ""),
        (verify.secrets, {}, "ipsec.secrets", "MISSING", "newhostkey"),
        (verify.configuration, {}, "ipsec.conf", "FAILED", "ipsec.conf"),
        (verify.opportunism, {}, "Opportunistic", "DISABLED", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_remedy(
    places: Path, check: Check, wrong: dict[str, Any], text: str, verdict: str, hint: str
) -> None:
    (found,) = [finding for finding in of(check, **wrong) if text in finding.text]
    assert found.verdict == verdict and hint in " ".join(found.hints)


def test_a_strict_filter_that_minds_marks_is_fine() -> None:
    (found,) = of(verify.filtering, **{"ipv4/conf/eth1/rp_filter": 1, "ipv4/conf/eth1/src_valid_mark": 1})
    assert found.verdict == "OK"


def test_secrets_that_others_can_read_fail_and_are_not_read(places: Path) -> None:
    path = places / "ipsec.secrets"
    path.write_text(': PSK "very secret"\n')
    path.chmod(0o644)
    scene = Scene(Machine(), "gw", None, False)
    (found,) = verify.secrets(scene)
    assert found.verdict == "FAILED" and f"chmod 600 {path}" in found.hints[0]
    path.chmod(0o600)
    assert [(one.verdict, "secret " in str(one.hints)) for one in verify.secrets(scene)] == [
        ("OK", False),
        ("OK", False),
        ("DISABLED", False),
    ]


def test_records_of_opportunistic_encryption(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def records(questions: list[tuple[str, str]]) -> list[DnsAnswer]:
        found = {("gw.example.org", "IPSECKEY"): DnsStatus.FOUND}
        return [DnsAnswer(*q, found.get(q, DnsStatus.ABSENT), reason="no such record") for q in questions]

    monkeypatch.setattr(verify, "records", records)
    (places / "ipsec.conf").write_text("version 2.0\n")
    by_text = {one.text.strip(): one for one in of(verify.opportunism, asked=True, addresses=["9.9.9.9", "10.0.0.1"])}
    assert by_text["Opportunistic Encryption DNS checks:"].verdict == "DISABLED"
    assert by_text["Looking for TXT in forward dns zone: gw.example.org"].hints == ("IPSECKEY",)
    assert by_text["Looking for TXT in reverse dns zone: 9.9.9.9.in-addr.arpa"].verdict == "MISSING"
    assert by_text["Does the machine have at least one non-private address?"].verdict == "OK"
    assert of(verify.opportunism, asked=True)[-1].verdict == "FAILED"


def test_the_command(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1  # no daemon runs
    out, err = capsys.readouterr()
    assert "Checking that pluto is running" in out and err == "ipsec verify: encountered errors\n"
    assert main(["--ip", "nowhere"]) == 2
    assert "`nowhere' is no address" in capsys.readouterr().err
