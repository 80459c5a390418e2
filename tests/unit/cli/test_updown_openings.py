# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the printed script that open filters; tests/netns/test_updown_openings.py runs them on filters."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

import pytest

from openswan.cli.updown_openings import openings_text
from openswan.host.openings.xtables import rule_text
from openswan.host.updown import read_call

SHELLS = [shell for shell in ("dash", "busybox", "bash") if shutil.which(shell)]
BASE = {
    "PLUTO_VERSION": "2.0",
    "PLUTO_VERB": "up-client",
    "PLUTO_CONNECTION": "net",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
    "PLUTO_CONN_POLICY": "PSK+FIREWALL+UP",
}
CALLS: dict[str, dict[str, str]] = {
    "forwarded": {},
    "nothing": {"PLUTO_CONN_POLICY": "PSK"},
    "no word that only looks so": {"PLUTO_CONN_POLICY": "NOFIREWALL+HOSTACCESSX"},
    "host too": {"PLUTO_CONN_POLICY": "FIREWALL+HOSTACCESS"},
    "host alone": {"PLUTO_CONN_POLICY": "HOSTACCESS"},
    "host to host": {"PLUTO_VERB": "up-host"},
    "a port": {"PLUTO_MY_PROTOCOL": "17", "PLUTO_PEER_PORT": "53"},
    "both ports": {"PLUTO_PEER_PROTOCOL": "6", "PLUTO_MY_PORT": "22", "PLUTO_PEER_PORT": "4000"},
    "ports of udplite": {"PLUTO_MY_PROTOCOL": "136", "PLUTO_MY_PORT": "22"},
    "a protocol without ports": {"PLUTO_MY_PROTOCOL": "47", "PLUTO_MY_PORT": "3"},
    "an ICMP type": {"PLUTO_MY_PROTOCOL": "1", "PLUTO_MY_PORT": "2048"},
    "an ICMP type of theirs": {"PLUTO_PEER_PROTOCOL": "1", "PLUTO_PEER_PORT": "769"},
    "ICMPv6 is another protocol": {"PLUTO_MY_PROTOCOL": "58", "PLUTO_MY_PORT": "32768"},
    "several flows": {
        "PLUTO_FLOWS": "10.1.0.0/25,10.2.0.0/24,6,0,443 10.1.1.0/24,10.2.0.0/24,1,2048,0 10.1.2.0/24,10.2.0.0/24,0,0,0"
    },
    "a name": {"PLUTO_CONNECTION": "a'b/1x2 $(reboot)"},
}
RULES = "wanted | while read -r chain way src dst sport dport proto; do"
EACH = '    set -- "$chain" "$way" "$src" "$dst" "$sport" "$dport" "$proto"'


def shell_says(shell: str, env: Mapping[str, str], commands: str) -> str:
    argv = [shell, "sh"] if shell == "busybox" else [shell]
    text = f"family=-4\n{openings_text()}\n{commands}\n"
    done = subprocess.run(argv, input=text, text=True, capture_output=True, env=env, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", CALLS)
def test_the_script_says_the_rules_of_the_daemon(name: str) -> None:
    env = BASE | CALLS[name]
    expected = sorted(rule_text(one).replace('"', "") for one in read_call(env).opening.accepts())
    for shell in SHELLS:
        said = shell_says(shell, env, f'{RULES}\n{EACH}\n    echo $(xt_rule "$@")\ndone')
        assert sorted(said.splitlines()) == expected, shell


def test_every_placeholder_has_its_value() -> None:
    assert "@" not in openings_text().replace("$@", "")


def test_a_filter_that_fails_is_no_reason_to_do_without_the_tunnel() -> None:
    broken = "filters() { echo false; }\nhave() { return 1; }\nevery_filter open\necho $?"
    for shell in SHELLS:
        assert shell_says(shell, BASE, broken) == "0\n"
