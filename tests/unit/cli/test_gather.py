# SPDX-License-Identifier: GPL-2.0-or-later
"""What a diagnosis gathers of files and of the daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.cli import gather as module
from openswan.cli.gather import gather
from openswan.diagnosis.facts import Machine, Peer
from openswan.diagnosis.judge import judge
from openswan.host.errands import Errand, Errands
from openswan.host.process import PidState
from tests.unit.diagnosis.world import CONF, ME
from tests.unit.engine.test_policies import certificate

STATUS = {"listening": True, "connections": [], "ike_sas": [], "child_sas": [], "pairs": []}
EVENTS = {"counts": {}, "lines": [{"time": 1.5, "event": "failed", "serious": True, "text": "x"}]}
ANSWERS: dict[str, Any] = {"status": STATUS, "events": EVENTS, "spi": [], "eroute": [],
                           "counters": {"engine": {}, "guard": {"out": 3}}}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gateway's files, a daemon that answers, and a machine that has the left end's address."""
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    monkeypatch.setenv("IPSEC_RUNDIR", str(tmp_path))
    (tmp_path / "ipsec.conf").write_text(CONF)
    (tmp_path / "ipsec.secrets").touch(0o600)
    (tmp_path / "ipsec.secrets").write_text('192.0.2.1 198.51.100.7 : PSK "x"\n')
    (tmp_path / "ipsec.d/cacerts").mkdir(parents=True)

    def request(verb: str, **arguments: Any) -> Iterator[tuple[int, str]]:
        yield 0, "no eroute takes it" if verb == "match" else json.dumps(ANSWERS[verb])

    def peers(wanted: dict[str, Peer], ping: bool, errands: Errands) -> dict[str, Errand[dict[str, Peer]]]:
        found = {name: replace(peer, lookup="no DNS server answered" if peer.name else "")
                 for name, peer in wanted.items()}  # fmt: skip
        return {"the peers": errands.send("the peers", lambda: found)}

    monkeypatch.setattr(module, "request", request)
    monkeypatch.setattr(module.process, "pid_state", lambda path: PidState(True, 7, True))
    monkeypatch.setattr(module.gathermachine, "machine", lambda kernel, pid: Machine(addresses=((ME, "wan"),)))
    monkeypatch.setattr(module.gathermachine, "FILTERS", ())
    monkeypatch.setattr(module.gathermachine, "peers", peers)
    return tmp_path


def test_all_of_it(host: Path) -> None:
    facts = gather()
    assert facts.config.names == ("net",) and facts.config.automatic == {"net": "add"}
    assert (
        facts.daemon.alive and facts.daemon.listening and facts.log[0].event == "failed" and facts.guard == {"out": 3}
    )
    assert facts.secrets.mode == 0o600 and facts.secrets.missing == {}
    assert facts.peers == {"net": Peer(address=ip_address("198.51.100.7"))}


def test_of_one_conn_and_of_one_address(host: Path) -> None:
    (host / "ipsec.conf").write_text(CONF + CONF.replace("conn net", "conn bad").replace("=10.2", "=1x"))
    assert [one.name for one in gather("net").config.conns] == ["net"]
    assert {one.conn for one in gather("net").config.complaints} <= {"", "net"}
    facts = gather(address=ip_address("10.2.0.9"))
    assert [one.name for one in facts.config.conns] == ["net"] and facts.match == "no eroute takes it"
    assert gather(address=ip_address("10.7.0.9")).config.conns == ()


def test_whom_the_dns_advertises_for_an_address(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the daemon has it; of pairs with that address alone, each record once."""
    record = {"gateway": "203.0.113.1", "record": "TXT", "signed": False}
    pairs = [{"dst": dst, "src": src, "advertised": [record]}
             for dst, src in (("203.0.113.9", "a"), ("203.0.113.9", "b"), ("203.0.113.8", "a"))]  # fmt: skip
    monkeypatch.setitem(ANSWERS, "status", {**STATUS, "pairs": pairs})
    facts = gather(address=ip_address("203.0.113.9"))
    assert [row["src"] for row in facts.pairs] == ["a", "b"]
    assert list(map(str, facts.records)) == ["9.113.0.203.in-addr.arpa TXT, gateway 203.0.113.1, not signed"]
    assert facts.gateways == {ip_address("203.0.113.1"): Peer(address=ip_address("203.0.113.1"))}
    assert gather().pairs == gather().records == ()


def test_a_conn_with_keys_of_its_own_is_none_to_complain_of(host: Path) -> None:
    keys = f"\tspibase=0x200\n\tespenckey=0x{'11' * 32}\n\tespauthkey=0x{'22' * 32}\n"
    ends = "conn hand\n\tleft=192.0.2.1\n\tright=192.0.2.9\n\tesp=aes256-sha2_256\n"
    (host / "ipsec.conf").write_text(ends + keys)
    facts = gather("hand")
    assert facts.config.manual == ("hand",) and not facts.config.complaints and not judge(facts)


def test_no_files_no_daemon(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "ipsec.conf").unlink()
    (host / "ipsec.secrets").unlink()
    monkeypatch.setattr(module.process, "pid_state", lambda path: PidState(True, 7, False))
    facts = gather()
    assert "cannot read" in facts.config.error and facts.secrets.mode is None
    assert not facts.daemon.alive and facts.daemon.orphan


def test_a_daemon_that_does_not_answer(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silence(verb: str, **arguments: Any) -> Iterator[tuple[int, str]]:
        raise HostError("no answer")

    monkeypatch.setattr(module, "request", silence)
    assert not gather().daemon.answers


def test_what_ipsec_secrets_lacks(host: Path) -> None:
    (host / "ipsec.secrets").write_text('1.2.3.4 5.6.7.8 : PSK "x"\n')
    assert gather().secrets.missing == {"net": '192.0.2.1 198.51.100.7 : PSK "..."'}
    (host / "ipsec.d/certs").mkdir()
    (host / "ipsec.d/certs/gw.der").write_bytes(certificate("gw"))
    (host / "ipsec.conf").write_text(CONF.replace("authby=secret", "leftcert=gw.der"))
    facts = gather()
    assert facts.secrets.missing == {"net": ": RSA gw.der (the private key of gw.der)"}
    [cert] = facts.certificates
    assert (cert.side, cert.subject, cert.key, cert.issued) == ("left", "CN=gw", False, True)
    (host / "ipsec.d/cacerts/gw.der").write_bytes(certificate("gw"))
    (host / "ipsec.d/cacerts/junk").write_text("junk")
    assert [one.name for one in gather().authorities] == ["gw.der"]


def test_a_resolver_that_is_dead(host: Path) -> None:
    (host / "ipsec.conf").write_text(CONF.replace("198.51.100.7", "gw.example.org"))
    assert gather().machine.nameserver == "no DNS server answered"


def test_what_takes_too_long_is_named_and_not_waited_for(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that hangs, a kernel that hangs, a daemon that says nothing: all at once."""
    never = Event()

    def hang(*anything: Any) -> Any:
        never.wait()

    monkeypatch.setattr(module, "SECONDS", 0.3)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(module.gathermachine, "machine", hang)
    monkeypatch.setattr(module.gathermachine, "FILTERS", (("nft", ("true",)),))
    monkeypatch.setattr(module.gathermachine, "_printed", hang)
    monkeypatch.setattr(module, "_tables", hang)
    try:
        facts = gather("net")
    finally:
        never.set()
    assert set(facts.unseen) == {"the kernel, links and routes", "the daemon", "nft"}
    assert [one.code for one in judge(facts)] == ["daemon-silent"]


def test_a_filter_that_has_to_be_ended_was_not_looked_at(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.3)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(module.gathermachine, "FILTERS", (("nft", ("sleep", "60")),))
    facts = gather("net")
    assert facts.unseen == ("nft",) and facts.firewall.tables == {}
