# SPDX-License-Identifier: GPL-2.0-or-later
"""What initscripts/ gives to init systems: judged by their own tools, and by shells that know less than bash."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from openswan.daemon.main import FINAL

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "initscripts"
SHELL = sorted(path for path in SCRIPTS.iterdir() if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh\n"))
UPDOWN = sorted((SCRIPTS / "updown").iterdir())
UNITS = sorted(SCRIPTS.glob("*.service"))
LEAST_EXPOSED = 2.5


def run(*words: object) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def unit(path: Path) -> dict[str, list[str]]:
    """Every setting of a unit, in order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def lsb(path: Path) -> dict[str, list[str]]:
    """The header of an init script (LSB 5, comment conventions)."""
    block = re.search(r"^### BEGIN INIT INFO\n(.*?)^### END INIT INFO\n", path.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = re.findall(r"^# ([A-Za-z-]+):[ \t]*(.*)$", block[1], re.MULTILINE)
    return {name: value.split() for name, value in lines}


def test_every_script_is_clean_and_shown_to_every_shell() -> None:
    """Wherever it lies; the completion is bash's own."""
    found = [path for path in SCRIPTS.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!")]
    assert {path.name for path in found} == {path.name for path in (*SHELL, *UPDOWN)} | {"listen"}
    for path in (*found, SCRIPTS / "bash-completion/ipsec"):
        run("shellcheck", "--severity=style", path)


def test_there_is_what_is_judged() -> None:
    assert {path.name for path in SHELL} == {"ipsec", "ipsec-guard"}
    assert {path.name for path in UPDOWN} == {"killswitch", "accounting", "policyrouting"}
    assert {path.name for path in UNITS} == {"ipsec.service", "ipsec-guard.service"}


@pytest.mark.parametrize("script", [*SHELL, *UPDOWN], ids=lambda path: path.name)
def test_shell_scripts_are_clean(script: Path) -> None:
    run("shellcheck", "--severity=style", script)
    for shell in (["dash"], ["busybox", "sh"]):
        run(*shell, "-n", script)
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("shell", [("dash",), ("busybox", "sh")], ids=lambda words: words[0])
def test_examples_use_the_marks_they_are_told(shell: tuple[str, ...], tmp_path: Path) -> None:
    for tool, does in (("nft", "cat"), ("ip", 'echo "$@"; test "$3" != del')):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / tool).chmod(0o755)
    path = f"PATH={tmp_path}:/usr/bin:/bin"
    for mask, own in ((), 0x1000), (("PLUTO_FWMARK_MASK=0x0f000000",), 0x1000000):
        said = run("env", path, *mask, *shell, SCRIPTS / "updown" / "killswitch", "on")
        assert f"iif 0 meta mark & {3 * own} == {own} " in said and f"established ct mark & {3 * own} == {own} " in said
        assert f"ct mark set ct mark & {0xFFFFFFFF & ~(3 * own)} | {own} accept" in said
        conn = ("PLUTO_CONNECTION=x", "PLUTO_PEER_CLIENT=0.0.0.0/0", "PLUTO_MY_CLIENT=10.1.5.0/24", "PLUTO_INTERFACE=i")
        said = run("env", path, *mask, *conn, "PLUTO_VERB=route-client", *shell, SCRIPTS / "updown" / "policyrouting")
        assert f"rule add priority 4899 from 10.1.5.0/24 fwmark {own}/{own} lookup main\n" in said


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_headers_say_what_insserv_wants_to_know(script: Path) -> None:
    header = lsb(script)
    assert header["Provides"] == [script.name]
    needed = {"Required-Start", "Required-Stop", "Default-Start", "Default-Stop", "Short-Description", "Description"}
    assert needed <= header.keys()
    assert set(header["Default-Start"]).isdisjoint(header["Default-Stop"])


def test_the_guard_comes_before_the_network_and_pluto_after_it() -> None:
    assert lsb(SCRIPTS / "ipsec-guard")["Default-Start"] == ["S"]
    assert "networking" in lsb(SCRIPTS / "ipsec-guard")["X-Start-Before"]
    assert "$network" in lsb(SCRIPTS / "ipsec")["Required-Start"]
    guard, pluto = unit(SCRIPTS / "ipsec-guard.service"), unit(SCRIPTS / "ipsec.service")
    assert guard["DefaultDependencies"] == ["no"] and "network-pre.target" in guard["Before"][0].split()
    assert guard["Wants"] == ["network-pre.target"] and guard["WantedBy"] == ["sysinit.target"]
    assert "ipsec-guard.service" in pluto["After"][0].split() and "network.target" in pluto["After"][0].split()
    # What was guarded is on record there.
    for each in (guard, pluto):
        assert each["RuntimeDirectory"] == ["pluto"] and each["RuntimeDirectoryPreserve"] == ["yes"]
    assert "ExecStop" not in pluto and "ExecStop" not in guard


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_expose_little(path: Path) -> None:
    told = run("systemd-analyze", "security", "--offline=true", "--no-pager", path)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert level is not None and float(level[1]) <= LEAST_EXPOSED, told


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_understood(path: Path, tmp_path: Path) -> None:
    """By systemd-analyze, with the command where this machine has one and without pages nobody has installed."""
    text = path.read_text().replace("/usr/sbin/ipsec", "/bin/true")
    (tmp_path / path.name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    for other in UNITS:
        if other != path:
            (tmp_path / other.name).write_text(other.read_text().replace("/usr/sbin/ipsec", "/bin/true"))
    told = run("systemd-analyze", "verify", "--man=no", tmp_path / path.name)
    assert path.name not in told and "ipsec" not in told, told


def test_the_watchdog_is_wanted() -> None:
    pluto = unit(SCRIPTS / "ipsec.service")
    assert pluto["RestartPreventExitStatus"] == [" ".join(map(str, FINAL))]
    assert pluto["Type"] == ["notify"] and pluto["WatchdogSec"] == ["30"]
    assert pluto["ExecStart"] == ["/usr/sbin/ipsec pluto --nofork --autostart"]


def test_logrotate_and_tmpfiles(tmp_path: Path) -> None:
    log, state, conf = tmp_path / "pluto.log", tmp_path / "state", tmp_path / "conf"
    log.write_text("a line\n")
    with log.open("a") as held:
        conf.write_text((SCRIPTS / "logrotate").read_text().replace("/var/log", str(tmp_path)))
        conf.chmod(0o644)
        run("logrotate", "--force", "--state", state, conf)
        held.write("another\n")
    # The daemon's descriptor appends to the file that is there now.
    assert log.read_text() == "another\n" and (tmp_path / "pluto.log.1").read_text() == "a line\n"
    run("systemd-tmpfiles", "--create", f"--root={tmp_path}", SCRIPTS / "tmpfiles.conf")
    assert (tmp_path / "run/pluto").stat().st_mode & 0o777 == 0o700


def test_units_are_ini_files_without_a_setting_twice_by_mistake() -> None:
    for path in UNITS:
        parser = configparser.RawConfigParser(strict=False)
        parser.read(path)
        assert parser.sections() == ["Unit", "Service", "Install"]
        twice = {name for name, values in unit(path).items() if len(values) > 1}
        assert twice <= {"SystemCallFilter", "ReadWritePaths"}


def test_the_apparmor_profile_is_understood() -> None:
    """It stops nothing before an administrator says so, and lets pluto have what its unit lets it have."""
    profile = SCRIPTS / "apparmor/openswan-pluto"
    run("apparmor_parser", "--skip-kernel-load", "--skip-cache", profile)
    text = profile.read_text()
    assert "flags=(complain)" in text and unit(SCRIPTS / "ipsec.service")["AppArmorProfile"] == ["-openswan-pluto"]
    allowed = {f"CAP_{name.upper()}" for name in re.findall(r"^  capability (\w+),$", text, re.MULTILINE)}
    assert allowed == set(unit(SCRIPTS / "ipsec.service")["CapabilityBoundingSet"][0].split())
