# SPDX-License-Identifier: GPL-2.0-or-later
"""A world with one fault in it, and what `ipsec diagnose` says there."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.netns.conns import NET4, SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Host, Lab

PATIENT = {"keyingtries": "1", "retransmit-timeout": "3s", "auto": "add"}
NAME = "net-net"
CERTS = {
    "authby": "rsasig",
    "leftid": "@west.test",
    "rightid": "@east.test",
    "leftrsasigkey": "%cert",
    "rightrsasigkey": "%cert",
}


class World:
    """Two gateways, west and east, that may be told to differ."""

    def __init__(self, fault: Fault, authority: Callable[[], Authority]) -> None:
        self.lab = Lab(fault.shape)
        self.authority = authority
        self.fault = fault
        self.conf = {side: {**NET4, **PATIENT, **fault.both, **getattr(fault, side)} for side in ("west", "east")}
        if fault.certs:
            self.conf["west"] = {**self.conf["west"], **CERTS, "leftcert": "west.pem", **fault.west}
            self.conf["east"] = {**self.conf["east"], **CERTS, "rightcert": "east.pem", **fault.east}
        self.head = dict.fromkeys(("west", "east"), fault.setup)
        self.secrets = {"west": fault.secrets, "east": fault.east_secrets}

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.close()

    def text(self, side: str) -> str:
        """The ipsec.conf of a side."""
        return self.fault.text.get(side) or setup(**self.head[side]) + conn(NAME, self.conf[side]) + self.fault.more

    def gateway(self, side: str) -> Gateway:
        """Made when first wanted."""
        return self.west if side == "west" else self.east

    @cached_property
    def west(self) -> Gateway:
        """The one that initiates."""
        return self._make("west")

    @cached_property
    def east(self) -> Gateway:
        """The one that answers."""
        return self._make("east")

    def _make(self, side: str) -> Gateway:
        host: Host = self.lab[side]
        resolv = self.fault.resolv if side == "west" else self.fault.east_resolv
        made = Gateway(host, self.text(side), self.secrets[side], resolv)
        if self.fault.certs:
            made.configure(secrets=f": RSA {side}.key")
            leaf = self.authority().issue(f"{side}.test")
            (made.dir / "ipsec.d/cacerts/ca.pem").write_bytes(self.authority().pem)
            (made.dir / f"ipsec.d/certs/{side}.pem").write_bytes(leaf.cert)
            (made.dir / f"ipsec.d/private/{side}.key").write_bytes(leaf.key)
            (made.dir / f"ipsec.d/private/{side}.key").chmod(0o600)
        return made

    def up(self) -> None:
        """West tries; whether it comes to anything is no matter."""
        try:
            self.west.ipsec("auto", "--up", NAME, check=False, timeout=60)
        except subprocess.TimeoutExpired:
            pass

    def ping(self, count: int = 4) -> None:
        """Some traffic from lan to lan, which may be lost."""
        self.lab.sunset.run("ping", "-c", str(count), "-i", "0.1", "-W", "1", "10.2.0.2", check=False)

    def iptables(self, host: str, *words: str, table: str = "filter") -> None:
        """One rule."""
        self.lab[host].run("iptables", "-t", table, *words)


Step = Callable[[World], object]


def nothing(world: World) -> None:
    """A step that does nothing."""


@dataclass(frozen=True)
class Fault:
    """One fault: what is different, and what the diagnosis must say."""

    name: str
    codes: str
    """Of the first cause; several, separated by blanks, where either is right."""
    remedy: str
    """A pattern that the remedy of the first cause must have."""
    west: dict[str, str] = field(default_factory=dict)
    east: dict[str, str] = field(default_factory=dict)
    both: dict[str, str] = field(default_factory=dict)
    setup: dict[str, str] = field(default_factory=dict)
    more: str = ""
    """Further conns of both."""
    text: dict[str, str] = field(default_factory=dict)
    """The whole ipsec.conf of a side instead."""
    secrets: str = SECRETS
    east_secrets: str = SECRETS
    certs: bool = False
    resolv: str | None = None
    """West's /etc/resolv.conf."""
    east_resolv: str | None = None
    before: Step = nothing
    """Before the daemons start."""
    after: Step = nothing
    """When they run."""
    late: Step = nothing
    """When the tunnel has been tried."""
    started: str = "east west"
    up: bool = True
    at: str = "west"
    target: str = NAME
    shape: str = "direct"


@dataclass(frozen=True)
class Outcome:
    """What was said."""

    fault: Fault
    status: int
    seconds: float
    findings: tuple[dict[str, Any], ...]
    text: str

    @property
    def first(self) -> dict[str, Any]:
        """The first cause; empty when nothing alarming was found."""
        alarming = [one for one in self.findings if one["weight"] >= 30]
        return alarming[0] if alarming else {}

    @property
    def right_cause(self) -> bool:
        """Is the first cause one of those it may be?"""
        return self.first.get("code", "") in self.fault.codes.split()

    @property
    def right_remedy(self) -> bool:
        """Does it say what to do?"""
        return self.right_cause and re.search(self.fault.remedy, self.first["remedy"]) is not None


def diagnose(gateway: Gateway, target: str, fault: Fault) -> Outcome:
    """Run it."""
    begin = time.monotonic()
    done = gateway.ipsec("diagnose", "--json", *([target] if target else []), check=False, timeout=60)
    seconds = time.monotonic() - begin
    try:
        findings = tuple(json.loads(done.stdout)["findings"])
    except ValueError:
        findings = ()
    return Outcome(fault, done.returncode, seconds, findings, done.stdout + done.stderr)


def inject(fault: Fault, authority: Callable[[], Authority]) -> Outcome:
    """Bring the fault about in a world of its own, and diagnose it."""
    with World(fault, authority) as world:
        for side in fault.started.split():
            world.gateway(side)
        fault.before(world)
        for side in fault.started.split():
            world.gateway(side).ipsec("setup", "start", check=False)
        fault.after(world)
        if fault.up and "west" in fault.started:
            world.up()
        fault.late(world)
        return diagnose(world.gateway(fault.at), fault.target, fault)
