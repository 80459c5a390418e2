# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec barf`: the classic headings, everything bounded, no secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.cli import barf as module
from openswan.cli.barf import RULE, Scene, barf
from openswan.host.machine import Machine
from tests.unit.cli.test_censor import KEY

HEADINGS = """version /proc/version /proc/net/ipsec_eroute netstat-rn /proc/net/ipsec_spi /proc/net/ipsec_spigrp
    /proc/net/ipsec_tncfg ip-xfrm-state ip-xfrm-policy ipsec/status ip-addr-list ip-route-list ip-rule-list ipsec_verify
    ipsec/directory hostname/fqdn ps ipsec/showdefaults ipsec/conf ipsec/secrets ipsec/listall ipsec/policies/private
    ipsec/ls-libdir ipsec/ls-execdir uname-a config-built-with distro-release ipsec_version iptables /proc/modules
    /proc/meminfo /proc/net/ipsec-ls etc/syslog.conf etc/resolv.conf lib/modules-ls fipscheck kern.debug klog plog
    date""".split()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Files with secrets in them; no daemon, no other command."""
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    (tmp_path / "more.conf").write_text(f"conn b\n\tleftrsasigkey={KEY}\n\tespenckey=0x5ec4e75ec4e7\n")
    (tmp_path / "ipsec.conf").write_text("conn a\n\tleft=192.0.2.1\ninclude more.conf\n")
    (tmp_path / "ipsec.secrets").write_text('192.0.2.1 : PSK "SECRETsecret!"\n@x : XAUTH "SECRETsecret!"\n')

    def request(verb: str, **arguments: Any) -> Iterator[tuple[int, str]]:
        if verb == "events":
            yield from ((0, f"line {number}") for number in range(600))
        else:
            raise HostError("Pluto is not running")

    monkeypatch.setattr(module, "request", request)
    monkeypatch.setattr(module.process, "command", lambda argv, timeout=0.0: (0, "output\n"))
    return Scene(Machine(Path("/")), 500)


def test_headings_in_the_classic_order(host: Scene) -> None:
    names = [line.removeprefix(RULE) for line in barf(host, 100, False) if line.startswith(RULE)]
    assert [name for name in names if name in HEADINGS] == HEADINGS and len(set(names)) == len(names)


def test_no_secret_in_it(host: Scene) -> None:
    text = "\n".join(barf(host, 100000, False))
    assert "SECRETsecret" not in text and "5ec4e75ec4e7" not in text and KEY not in text
    assert '192.0.2.1 : PSK "[sums to' in text and "leftrsasigkey=[keyid AQOabcdef]" in text
    assert "Pluto is not running" in text


def test_bounds(host: Scene) -> None:
    lines = list(barf(host, 3, False))
    at = lines.index(f"{RULE}plog")
    assert lines[at + 2 : at + 6] == ["line 100", "line 101", "line 102", "(497 more lines: --maxlines)"]


def test_progress(host: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    list(barf(host, 1, True))
    assert "ipsec/secrets" in capsys.readouterr().err


def test_command_line(host: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    monkeypatch.setattr(module, "barf", lambda scene, most, progress: seen.append((scene.log_lines, most)) or ["x"])
    assert module.main(["--short", "--maxlines", "7"]) == 0 and module.main([]) == 0
    assert seen == [(500, 7), (20000, 20000)]
    assert module.main(["--maxlines", "no"]) == 2 and module.main(["what"]) == 2
    capsys.readouterr()
