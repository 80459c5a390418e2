# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps that bring a fault about."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.netns.conns import SECRETS
from tests.netns.diagnosing import World
from tests.netns.lab import run, wait_for

OTHER_PSK = ': PSK "something else altogether"'


def write(side: str, old: str, new: str) -> object:
    """A step that changes ipsec.conf."""

    def step(world: World) -> None:
        path = world.gateway(side).dir / "ipsec.conf"
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    return step


def rule(host: str, *words: str, table: str = "filter"):  # type: ignore[no-untyped-def]
    """A step that adds a packet filter rule."""
    return lambda world: world.iptables(host, *words, table=table)


def nft(host: str, *lines: str):  # type: ignore[no-untyped-def]
    """A step that loads an nft ruleset."""
    return lambda world: world.lab[host].run("nft", "-f", "-", input="\n".join(lines) + "\n")


def ip(host: str, *words: str):  # type: ignore[no-untyped-def]
    """A step that runs ip(8)."""
    return lambda world: world.lab[host].ip(*words)


def sysctl(host: str, **settings: int):  # type: ignore[no-untyped-def]
    """A step that changes settings."""
    return lambda world: world.lab[host].sysctl(**settings)


def steps(*each):  # type: ignore[no-untyped-def]
    """Several steps."""
    return lambda world: [step(world) for step in each]


def listen(port: int):  # type: ignore[no-untyped-def]
    """A step: another program takes a UDP port."""

    def step(world: World) -> None:
        script = (
            f"import socket,time; s=socket.socket(2,2); s.bind(('',{port})); print('up',flush=True); time.sleep(600)"
        )
        child = world.lab.west.start("/usr/bin/python3", "-c", script)
        assert child.stdout is not None and child.stdout.readline() == "up\n"

    return step


def later(world: World) -> None:
    """ipsec.secrets as if it had just been written, with the right secret, after the daemon read another one."""
    path = world.west.dir / "ipsec.secrets"
    path.write_text(SECRETS + "\n")
    os.utime(path, (time.time() + 5, time.time() + 5))


def kill(world: World) -> None:
    """The daemon dies."""
    world.west.kill()


def secrets(side: str, text: str | None, mode: int = 0o600):  # type: ignore[no-untyped-def]
    """A step: another ipsec.secrets, or none."""

    def step(world: World) -> None:
        path = world.gateway(side).dir / "ipsec.secrets"
        path.unlink(missing_ok=True)
        if text is not None:
            path.touch(0o600)
            path.write_text(text + "\n")
            path.chmod(mode)

    return step


def leaf(side: str, days: int = 30, name: str = "", future: bool = False, key: bool = True):  # type: ignore[no-untyped-def]
    """A step: another certificate for a side."""

    def step(world: World) -> None:
        made = world.authority().issue(name or f"{side}.test", days)
        folder = world.gateway(side).dir / "ipsec.d"
        (folder / f"certs/{side}.pem").write_bytes(made.cert)
        if key:
            (folder / f"private/{side}.key").write_bytes(made.key)

    return step


def remove(side: str, path: str):  # type: ignore[no-untyped-def]
    """A step: a file of a gateway goes."""
    return lambda world: (world.gateway(side).dir / path).unlink()


def cut_esp(world: World) -> None:
    """The way takes no protocol 50, and traffic has shown it."""
    world.ping(8)
    wait_for(
        "the engine to see that ESP is blocked",
        lambda: "esp-blocked" in world.west.ipsec("whack", "--events").stdout,
        40,
    )


def lie(side: str, **what: str):  # type: ignore[no-untyped-def]
    """A step: the programs of a gateway see another machine than there is; see lies.c."""

    def step(world: World) -> None:
        made = world.lab.dir / "lies.so"
        if not made.exists():
            run("cc", "-shared", "-fPIC", "-O1", "-o", made, Path(__file__).with_name("lies.c"))
        world.gateway(side).env |= {"LD_PRELOAD": str(made), **what}

    return step


def hide(side: str, path: str):  # type: ignore[no-untyped-def]
    """A step: the programs of a gateway find a directory empty."""
    return lambda world: world.gateway(side).hide(path)
