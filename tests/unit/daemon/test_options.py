# SPDX-License-Identifier: GPL-2.0-or-later
"""pluto's command line."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.daemon.options import parse


def test_old_start_scripts_are_understood() -> None:
    options = parse(
        "--nofork --stderrlog --use-klips --uniqueids --nat_traversal --keep_alive 20 --nhelpers=2 "
        "--virtual_private %v4:10.0.0.0/8 --debug-all --impair-retransmits --interface eth0 --interface eth1".split()
    )
    assert "nofork" in options and "stderrlog" in options and "autostart" not in options
    assert options.number("keep-alive", 5, 3600) == 20 and options.number("ikeport", 500, 65535) == 500
    assert options.interfaces == ["eth0", "eth1"] and options.debug == ["all"]


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", "/c")
    monkeypatch.setenv("IPSEC_RUNDIR", "/r")
    plain = parse([])
    assert (plain.config, plain.secrets, plain.ipsec_d) == (
        Path("/c/ipsec.conf"),
        Path("/c/ipsec.secrets"),
        Path("/c/ipsec.d"),
    )
    assert (plain.control, plain.pid_file, plain.listen) == (Path("/r/pluto.ctl"), Path("/r/pluto.pid"), None)
    told = parse("--ctlbase /x/p --secretsfile /s --ipsecdir /d --config /f --listen 2001:db8::1".split())
    assert (told.control, told.pid_file, told.secrets) == (Path("/x/p.ctl"), Path("/x/p.pid"), Path("/s"))
    assert (told.ipsec_d, told.config, told.listen) == (Path("/d"), Path("/f"), ip_address("2001:db8::1"))


def test_options_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "more"
    path.write_text("--nofork # in front\n--ikeport 1500\n")
    options = parse(["--optionsfrom", str(path)])
    assert "nofork" in options and options.number("ikeport", 500, 65535) == 1500
    path.write_text(f"--optionsfrom {path}\n")
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse(["--optionsfrom", str(path)])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nofrok"], "unrecognized option `--nofrok'"),
        (["start"], "unexpected argument `start'"),
        (["--ikeport"], "--ikeport needs a value"),
        (["--optionsfrom", "/no/such"], "--optionsfrom /no/such: .*No such file"),
    ],
)
def test_mistakes_are_named(words: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(words)


def test_numbers_are_bounded() -> None:
    with pytest.raises(ConfigError, match="--ikeport: '70000' is not a number from 0 to 65535"):
        parse(["--ikeport", "70000"]).number("ikeport", 500, 65535)
    with pytest.raises(ConfigError, match="'here' is not a numeric IP address"):
        _ = parse(["--listen", "here"]).listen
