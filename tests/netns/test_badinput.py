# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a machine or its files is said in one clear line, and the exit status is not zero.

west =======wan======= east
"""

from __future__ import annotations

import subprocess

import pytest

from tests.netns.conns import NET4, SECRETS, conn, setup
from tests.netns.gateway import IPSEC, Gateway
from tests.netns.lab import Lab, alive, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import udp_socket


def complaint(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """The one line among what was printed that holds all `words`; fails unless the status is non-zero."""
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    assert "Traceback" not in text, text
    lines = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(lines) >= 1, f"no line with {words} in:\n{text}"
    return lines[0]


def test_a_port_in_use(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
    s = udp_socket(lab.west, "192.0.2.1", 500)
    done = west.ipsec("setup", "start", check=False)
    complaint(done, "500", "in use")
    assert not (west.pid and alive(west.pid))
    s.close()
    west.start()


def test_not_being_root(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
    nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_read_search,+dac_override",
              "--ambient-caps=+dac_read_search,+dac_override"]  # fmt: skip
    done = lab.west.run(*nobody, str(IPSEC), "setup", "start", check=False, env=west.env)
    complaint(done, "permission denied (must be superuser)")
    assert done.returncode == 4
    done = lab.west.run(*nobody, str(IPSEC), "pluto", "--nofork", check=False, env=west.env)
    complaint(done, "root")


def test_no_tun_device(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
    hidden = 'mount -t tmpfs none /dev/net && exec "$@"'
    done = lab.west.run(
        "unshare", "-m", "sh", "-c", hidden, "sh", str(IPSEC), "setup", "start", check=False, env=west.env
    )
    complaint(done, "/dev/net/tun")
    assert not (west.pid and alive(west.pid))


def test_a_secrets_file_others_can_read(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, auto="add"))
    secrets = both.west.dir / "ipsec.secrets"
    secrets.chmod(0o644)
    done = both.west.ipsec("auto", "--rereadsecrets", check=False)
    complaint(done, "ipsec.secrets", "chmod 600")
    assert both.west.ipsec("auto", "--up", "net", check=False, timeout=30).returncode != 0
    secrets.chmod(0o600)
    both.west.ipsec("auto", "--rereadsecrets")
    both.west.up("net")


def test_a_missing_secret_names_both_ends(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, auto="add"), secrets="")
    done = both.west.ipsec("auto", "--up", "net", check=False, timeout=30)
    complaint(done, "no preshared key", "192.0.2.1", "192.0.2.2")


def test_an_algorithm_nobody_has(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="add", esp="rot13-sha1"), SECRETS)
    done = west.ipsec("addconn", "--checkconfig", "--config", str(west.dir / "ipsec.conf"), check=False)
    complaint(done, "ipsec.conf", "rot13")


def test_a_misspelt_keyword_spares_the_other_conns(lab: Lab) -> None:
    text = setup() + conn("broken", NET4, lefft="192.0.2.1", auto="add") + conn("net", NET4, auto="start")
    both = pair(lab, text, conn("net", NET4, auto="add"))
    both.settle()
    assert '"broken"' not in both.west.status()
    done = both.west.ipsec("addconn", "--checkconfig", "--config", str(both.west.dir / "ipsec.conf"), check=False)
    line = complaint(done, "ipsec.conf:", "lefft")
    assert "left" in line.replace("lefft", ""), line


def test_no_configuration(lab: Lab) -> None:
    west = Gateway(lab.west, "", SECRETS)
    (west.dir / "ipsec.conf").unlink()
    done = west.ipsec("setup", "start", check=False)
    complaint(done, "ipsec.conf")
    assert done.returncode == 6


def test_starting_twice_is_no_error_and_starts_nothing(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
    west.start()
    pid = west.pid
    done = west.ipsec("setup", "start")
    assert "already" in done.stdout + done.stderr
    assert west.pid == pid and alive(pid)


def test_a_peer_that_is_not_there_is_reported_and_leaves_no_state(lab: Lab) -> None:
    west = Gateway(
        lab.west,
        conn("net", NET4, auto="add", keyingtries="1", **{"retransmit-timeout": "2s"}),
        SECRETS,
    )
    west.start()
    done = west.ipsec("auto", "--up", "net", check=False, timeout=30)
    complaint(done, "max number of retransmissions")
    wait_for("no state", lambda: "STATE_" not in west.status(), 5)


@pytest.mark.parametrize("auto", ["start", "route"])
def test_start_does_not_wait_for_a_dead_dns_server(lab: Lab, auto: str) -> None:
    """A host name that cannot be looked up holds nothing up, least of all the other conns."""
    lab.west.ip("route", "add", "blackhole", "198.51.100.53/32")
    text = conn("named", NET4, right="gate.example.org", rightsubnet="10.9.0.0/24", auto=auto)
    east = Gateway(lab.east, conn("net", NET4, auto="add"), SECRETS)
    west = Gateway(lab.west, text + conn("net", NET4, auto="start"), SECRETS, resolv="nameserver 198.51.100.53\n")
    usual = east.start()
    assert west.start() < max(2.0, 1.5 * usual), "a busy machine takes its time, but not for the name's sake"
    west.wait_tunnels()
    assert '"named"' in west.status()
