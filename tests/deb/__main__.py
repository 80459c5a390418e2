# SPDX-License-Identifier: GPL-2.0-or-later
"""`make test-deb`: the package where nothing else is, a bare Debian 12, as its user would go about it.

sunset ----lan---- west =======wan======= east ----lan---- sunrise        west and east are such roots
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.deb.machine import Machine
from tests.deb.quickstart import follow
from tests.deb.root import Root, bare
from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, run, wait_for
from tests.netns.traffic import assert_ping, ping

TREE = Path(__file__).resolve().parents[2]
BUILT = TREE / "build/package"
IMAGE = TREE / "build/image/router.tar"
NETWORK = "[Match]\nName={}\n\n[Network]\nAddress={}\n"
SECRET = '192.0.2.1 192.0.2.2 : PSK "nobody else knows this"\n'


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def package(argv: list[str]) -> Path:
    """The package to try: the one that is named, else that in build/package."""
    found = [Path(each) for each in argv] or sorted(BUILT.glob("openswan_*.deb"))
    assert found, "no package in build/package: make deb"
    return found[-1]


def edit(root: Root) -> None:
    """Eight lines: seven lose their #, the eighth is the secret."""
    conf = root.path / "etc/ipsec.conf"
    text, count = re.subn(r"^#(?=conn |\t)", "", conf.read_text(), flags=re.MULTILINE)
    assert count == 7
    conf.write_text(text)
    with (root.path / "etc/ipsec.secrets").open("a") as secrets:
        secrets.write(SECRET)


def next_version(deb: Path, work: Path) -> Path:
    """The same package as a later one whose ipsec.conf has another comment."""
    tree = work / "next"
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+next", control.read_text()))
    conf = tree / "etc/ipsec.conf"
    conf.write_text("# Another comment.\n" + conf.read_text())
    made = work / "next.deb"
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, made, timeout=300)
    return made


def install(root: Root, deb: Path) -> None:
    shutil.copy(deb, root.path / "tmp/openswan.deb")
    root.apt("install", "/tmp/openswan.deb")


def tunnel(lab: Lab, west: Root, east: Root) -> None:
    """Edit, start, traffic; the init script's words; nothing in clear over a restart."""
    begun = time.monotonic()
    for root in (west, east):
        edit(root)
        root.run("ipsec", "setup", "start")
    wait_for("traffic", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 30, 0.2)
    say(f"two bare roots, eight lines each, traffic {time.monotonic() - begun:.1f} s after the editor was opened")
    with Capture(lab.east) as wire:
        assert_ping(lab.sunset, "10.2.0.2")
        assert_ping(lab.sunrise, "10.1.0.2")
        assert west.run("/etc/init.d/ipsec", "status").returncode == 0
        assert west.run("/etc/init.d/ipsec", "restart").returncode == 0
        wait_for("traffic", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 30, 0.2)
        assert_quiet(wire, INNER)
    say("restarted by its init script: nothing in clear")


def upgrade(west: Root, later: Path) -> None:
    install(west, later)
    assert "+next" in west.run("dpkg-query", "-W", "openswan").stdout
    kept = (west.path / "etc/ipsec.conf").read_text()
    assert "\nconn net-net\n" in kept and "Another comment" not in kept
    secrets = west.path / "etc/ipsec.secrets"
    assert SECRET in secrets.read_text() and secrets.stat().st_mode & 0o777 == 0o600
    say("upgraded: ipsec.conf and ipsec.secrets are the user's still")


def removal(lab: Lab, west: Root, before: set[str]) -> None:
    assert west.at is not None and "10.2.0.0" in west.at.run("nft", "list", "ruleset").stdout
    west.apt("remove", "openswan")
    assert "10.2.0.0" not in west.at.run("nft", "list", "ruleset").stdout
    assert "ipsec0" not in west.at.ip("-br", "link")
    assert (west.path / "etc/ipsec.conf").exists()
    say("removed: guard, routes and ipsec0 are gone, configuration stays")
    west.apt("purge", "openswan")
    left = west.names() - before
    assert not left, f"purge leaves {sorted(left)}"
    say("purged: nothing is left")


def own_test(root: Root) -> None:
    """What autopkgtest runs."""
    root.apt("install", "iputils-ping")
    shutil.copy(TREE / "debian/tests/tunnel", root.path / "tmp/tunnel")
    assert "1 tunnels up" in root.run("sh", "/tmp/tunnel").stdout
    say("its own test for autopkgtest passes")


def boot(root: Root) -> None:
    """The router's image, its units in their sandbox: guard, then a network, traffic, a pluto that stands still."""
    edit(root)
    networks = root.path / "etc/systemd/network"
    (networks / "10-wan.network").write_text(NETWORK.format("wan", "192.0.2.1/24") + "Gateway=192.0.2.2\n")
    (networks / "10-lan.network").write_text(NETWORK.format("lan", "10.1.0.1/24"))
    with Machine(root.path) as west, Lab() as lab:
        wait_for("ipsec.service", lambda: west.state("ipsec", "ActiveState") == "active", 90, 0.5)
        assert west.state("ipsec-guard", "Result") == "success" and west.state("ipsec-guard", "ActiveState") == "active"
        assert "10.2.0.0" in west.run("nft", "list", "ruleset")
        say("booted by systemd without a network: the guard is in force, pluto serves in its sandbox")
        east = Gateway(lab.east, (root.path / "etc/ipsec.conf").read_text(), SECRET)
        east.start()
        with Capture(lab.east) as wire:
            west.plug(lab.west, "wan")
            west.plug(lab.west, "lan")

            def traffic(after: str) -> None:
                wait_for(f"traffic after {after}", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 40, 0.2)
                say(f"traffic after {after}")

            traffic("the network came")
            entry = json.loads(west.run("journalctl", "-o", "json", "-n", "1", "OPENSWAN_EVENT=child-established"))
            assert entry["SYSLOG_IDENTIFIER"] == "pluto" and entry["PRIORITY"] == "5", entry
            assert entry["OPENSWAN_CONNECTION"] == "net-net" and entry["_SYSTEMD_UNIT"] == "ipsec.service", entry
            pid = west.state("ipsec", "MainPID")
            west.run("systemctl", "reload", "ipsec")
            assert west.state("ipsec", "MainPID") == pid and west.state("ipsec", "ActiveState") == "active"
            assert "1 unchanged" in west.run("journalctl", "-u", "ipsec")
            say("its events are fields of the journal; systemctl reload leaves what has not changed alone")
            west.run("systemctl", "restart", "ipsec")
            assert west.state("ipsec", "MainPID") != pid
            traffic("systemctl restart")
            pid = west.state("ipsec", "MainPID")
            west.run("ipsec", "setup", "restart")
            assert west.state("ipsec", "MainPID") not in (pid, "0"), "that pluto is nobody's"
            traffic("ipsec setup restart, which leaves pluto to systemd")
            west.run("systemctl", "kill", "-s", "STOP", "ipsec")
            wait_for("the watchdog", lambda: west.state("ipsec", "NRestarts") == "1", 90, 0.5)
            traffic("the watchdog ended a pluto that stood still")
            assert_quiet(wire, INNER)
        west.run("systemctl", "stop", "ipsec")
        assert "10.2.0.0" in west.run("nft", "list", "ruleset"), "the guard went with the service"
        assert "guard.journal" in west.run("ls", "/run/pluto")
        west.run("ipsec", "setup", "stop")
        assert "10.2.0.0" not in west.run("nft", "list", "ruleset")
        assert west.state("ipsec", "ActiveState") == "inactive"
        # A start after a stop is a start like any other.
        west.run("systemctl", "start", "ipsec")
        assert west.state("ipsec", "ActiveState") == "active"
        for device in ("wan", "lan"):
            west.run("ip", "link", "del", device)
    say("stopped: the guard stays until `ipsec setup stop'")


def main(argv: list[str]) -> int:
    """All of it; the seconds it took."""
    begun = time.monotonic()
    deb = package(argv)
    archive = TREE / "build/deb-root/bare.tar"
    bare(archive)
    say(f"a bare root; {deb.name} goes in")
    work = Path(tempfile.mkdtemp(prefix="osw-deb-"))
    try:
        west = Root.unpacked(archive, work / "west")
        west.apt("update")
        before = west.names()
        begun_install = time.monotonic()
        install(west, deb)
        installed = time.monotonic() - begun_install
        say("installed: " + west.run("ipsec", "--version").stdout.splitlines()[0])
        east = west.copy(work / "east")
        with Lab() as lab:
            west.at, east.at = lab.west, lab.east
            say(follow(lab, (west, east), installed))
            tunnel(lab, west, east)
            upgrade(west, next_version(deb, work))
            removal(lab, west, before)
            east.run("ipsec", "setup", "stop")
        east.at = None
        shutil.copy(TREE / "initscripts/ipsec.conf", east.path / "etc/ipsec.conf")
        own_test(east)
        boot(Root.unpacked(IMAGE, work / "router"))
    finally:
        run("rm", "-rf", "--one-file-system", work, timeout=300)
    say(f"all of it in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
