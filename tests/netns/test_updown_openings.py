# SPDX-License-Identifier: GPL-2.0-or-later
"""The printed script opens packet filters as the daemon does, in nft and in both kinds of iptables.

namespace G:   nothing but filters that drop
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openswan.cli.updown_script import script
from openswan.host.openings.openings import Openings
from openswan.host.updown import World, carry_out
from tests.netns.lab import Host, Lab

pytestmark = pytest.mark.netns
SHELLS = [shell for shell in ("dash", "busybox") if shutil.which(shell)]
NFT = """
table inet fence {
    chain forward { type filter hook forward priority filter; policy drop; }
    chain early {
        type filter hook forward priority mangle; policy accept;
        meta mark 7 reject
    }
    chain counted {
        type filter hook forward priority -200; policy accept;
        counter
    }
    chain input {
        type filter hook input priority filter; policy accept;
        jump more
    }
    chain more {
        tcp dport 22 drop
    }
    chain output { type filter hook output priority filter; policy drop; }
}
table ip plain {
    chain forward { type filter hook forward priority filter; policy drop; }
}
"""
BASE = {
    "PLUTO_VERSION": "2.0",
    "PLUTO_CONNECTION": "net",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_PEER": "192.0.2.2",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
    "PLUTO_CONN_POLICY": "PSK+FIREWALL+UP",
}
V6 = {"PLUTO_MY_CLIENT": "fd01::/64", "PLUTO_PEER_CLIENT": "fd02::1/128"}
CALLS = {
    "host too": {"PLUTO_CONN_POLICY": "FIREWALL+HOSTACCESS"},
    "ports": {
        "PLUTO_CONNECTION": "a\\047b/1x2",
        "PLUTO_MY_PROTOCOL": "6",
        "PLUTO_MY_PORT": "22",
        "PLUTO_PEER_PORT": "4000",
        "PLUTO_FLOWS": "10.1.0.0/24,10.2.0.0/24,6,22,40 10.1.0.0/25,10.2.0.0/24,1,2048,0 10.3.0.0/16,10.4.0.0/16,0,0,0",
    },
    "a protocol of one host": {"PLUTO_MY_PROTOCOL": "47", "PLUTO_PEER_CLIENT": "10.2.0.2/32"},
    "everything": {"PLUTO_MY_CLIENT": "0.0.0.0/0", "PLUTO_PEER_CLIENT": "0.0.0.0/0"},
    "ipv6": {**V6, "PLUTO_FLOWS": "fd01::/64,fd02::/64,136,53,0 fd01::/64,fd02::/64,58,0,32768"},
    "everything of ipv6": {"PLUTO_MY_CLIENT": "::/0", "PLUTO_PEER_CLIENT": "::/0"},
}
"""What is asked for; all there is to ask for is in tests/unit/cli/test_updown_openings.py."""


@pytest.fixture
def fenced(lab: Lab) -> Iterator[Host]:
    """A host with filters of every kind."""
    host = lab.west
    host.run("nft", "-f", "-", input=NFT)
    for tool in ("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"):
        host.run(
            "sh", "-c", f"{tool} -P FORWARD DROP; {tool} -A INPUT -p tcp --dport 22 -j REJECT; {tool} -P OUTPUT ACCEPT"
        )
    yield host


def filtering(host: Host) -> list[str]:
    """Every filter's text, less what counts."""
    tools = " ".join(
        f"{tool}-{kind}-save -t filter;" for tool in ("iptables", "ip6tables") for kind in ("nft", "legacy")
    )
    text = host.run("sh", "-c", f"nft -s -n list ruleset; {tools}").stdout
    return [line.split("[")[0].strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


@pytest.mark.matrix
@pytest.mark.parametrize("name", CALLS)
def test_the_script_opens_what_the_daemon_opens(fenced: Host, name: str, tmp_path: Path) -> None:
    path = tmp_path / "_updown"
    path.write_text(script())
    env = BASE | CALLS[name]
    suffix = "-client-v6" if ":" in env["PLUTO_MY_CLIENT"] else "-client"
    shells = [[shell, "sh"] if shell == "busybox" else [shell] for shell in SHELLS]
    closed = filtering(fenced)

    def by_script(shell: list[str], verb: str) -> None:
        told = {**os.environ, **env, "PLUTO_VERB": verb + suffix}
        done = fenced.run(*shell, path, "custom", env=told)
        assert (done.returncode, done.stderr) == (0, ""), (verb, done.stderr)

    with fenced.inside():
        world = World(None, None, Openings())  # type: ignore[arg-type]
        assert carry_out(env | {"PLUTO_VERB": "up" + suffix}, world) == (0, ())
        opened = filtering(fenced)
        assert carry_out(env | {"PLUTO_VERB": "down" + suffix}, world) == (0, ())
        assert filtering(fenced) == closed
    assert opened != closed
    for shell, verbs in zip(shells, (["up", "up", "down", "down"], ["up", "down"]), strict=False):
        for verb in verbs:
            by_script(shell, verb)
            assert sorted(filtering(fenced)) == sorted(opened if verb == "up" else closed), verb


@pytest.mark.parametrize("tools", ["iptables ip6tables", "nft"])
def test_it_needs_the_tools_of_one_kind_only(lab: Lab, tmp_path: Path, tools: str) -> None:
    """A machine with iptables and no nft, and the other way round."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    needed = ["dash", "tr", "cut", "grep", "sed", "cat", *tools.split()]
    needed += [f"{tool}-save" for tool in tools.split() if tool != "nft"]
    for tool in needed:
        found = shutil.which(tool)
        assert found is not None
        (bin_ / tool).symlink_to(found)
    path = tmp_path / "_updown"
    path.write_text(script())
    if tools == "nft":
        lab.west.run("nft", "-f", "-", input=NFT)
    else:
        lab.west.run("iptables", "-P", "FORWARD", "DROP")
    closed = filtering(lab.west)
    for verb in ("up", "down"):
        env = BASE | {"PATH": str(bin_), "PLUTO_VERB": f"{verb}-client"}
        command = [f"{name}={value}" for name, value in env.items()]
        done = lab.west.run("env", "-i", *command, str(bin_ / "dash"), str(path))
        assert done.stderr == ""
        assert (filtering(lab.west) == closed) == (verb == "down")
    assert subprocess.run(["shellcheck", path], check=False).returncode == 0
