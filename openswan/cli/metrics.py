# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec metrics`: what monitoring wants to know, as OpenMetrics text, a file for a collector, or over HTTP."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest as classic
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.registry import Collector

from openswan import __version__
from openswan.base.errors import HostError
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.cli.talk import request
from openswan.host.metricsock import serve, write

ASK_SECONDS = 10.0
SYNTAX = Syntax(
    "metrics",
    "print what monitoring wants to know, or serve it",
    (
        Option(
            "--textfile", "write it into a file for node_exporter's textfile collector, at once and as a whole", "FILE"
        ),
        Option("--listen", "serve it over HTTP until ended, at 127.0.0.1 unless an address is given", "[ADDRESS:]PORT"),
    ),
    details=(
        "Without an option it prints OpenMetrics text. Counters of SAs belong to that SA: their serial number is a "
        "label, and they end with it; those of an interface, of drops and of events go on as long as the daemon "
        "runs.",
        "openswan_up is 0 when there is no daemon to ask, and then it is all there is. openswan_connection_up is 1 "
        "for a connection with an IPsec SA. openswan_events_total has an event code of docs/EVENTS.md each.",
        "Whoever can reach the port can read it: names of connections, addresses of peers and how much traffic "
        "there is.",
    ),
    statuses={0: "printed", 1: "the file or the port cannot be used", 2: "usage error"},
    see=("ipsec_status(8)", "ipsec_top(8)", "ipsec_whack(8)"),
)


@dataclass(frozen=True, slots=True)
class State:
    """What the daemon says, as plain data; nothing when there is none."""

    status: Mapping[str, Any] = field(default_factory=dict)
    sas: tuple[Mapping[str, Any], ...] = ()
    eroutes: tuple[Mapping[str, Any], ...] = ()
    devices: tuple[Mapping[str, Any], ...] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Is there a daemon?"""
        return bool(self.status)


def _plain(verb: str) -> Any:
    return json.loads("".join(text for _, text in request(verb, timeout=ASK_SECONDS, json=True)) or "null")


def ask() -> State:
    """The daemon's state now."""
    try:
        return State(
            _plain("status"),
            tuple(_plain("spi")),
            tuple(_plain("eroute")),
            tuple(_plain("tncfg")),
            _plain("counters"),
            _plain("events")["counts"],
        )
    except (HostError, ValueError):
        return State()


def families(state: State) -> Iterator[Metric]:
    """Every metric."""
    up = GaugeMetricFamily("openswan_up", "Whether the daemon answers.")
    up.add_metric([], float(state.alive))
    yield up
    if not state.alive:
        return
    yield InfoMetricFamily("openswan_build", "The software.", {"version": __version__})
    yield from _connections(state.status)
    yield from _sas(state.sas)
    yield from _tables(state)
    drops = CounterMetricFamily("openswan_drops", "Packets dropped.", labels=["place", "reason"])
    for place, counted in sorted(state.counters.items()):
        for reason, count in sorted(counted.items()):
            drops.add_metric([place, reason], count)
    yield drops
    events = CounterMetricFamily("openswan_events", "Events of the log, by code.", labels=["event"])
    for code, count in sorted(state.events.items()):
        events.add_metric([code], count)
    yield events


def _connections(status: Mapping[str, Any]) -> Iterator[Metric]:
    up = {row["connection"].partition("[")[0] for row in status["child_sas"]}
    listening = GaugeMetricFamily("openswan_listening", "Whether IKE is listened for.")
    listening.add_metric([], float(status["listening"]))
    yield listening
    connection = GaugeMetricFamily("openswan_connection_up", "Whether it has an IPsec SA.", labels=["connection"])
    routing = GaugeMetricFamily("openswan_connections", "Loaded connections, by routing.", labels=["routing"])
    stories: Counter[str] = Counter()
    for row in status["connections"]:
        if not row["instance"]:
            connection.add_metric([row["name"]], float(row["name"] in up))
            stories[row["routing"]] += 1
    for story, count in sorted(stories.items()):
        routing.add_metric([story], count)
    yield connection
    yield routing
    ikes = GaugeMetricFamily("openswan_ike_sas", "IKE SAs.", labels=["established"])
    states = Counter("yes" if row["established"] else "no" for row in status["ike_sas"])
    for word in ("yes", "no"):
        ikes.add_metric([word], states[word])
    yield ikes
    children = GaugeMetricFamily("openswan_child_sas", "Pairs of IPsec SAs.")
    children.add_metric([], len(status["child_sas"]))
    yield children
    if status.get("interception") is not None:
        held = GaugeMetricFamily("openswan_queued_packets", "First packets that wait in the kernel's queue.")
        held.add_metric([], status["interception"]["held"])
        yield held
    leases = GaugeMetricFamily("openswan_pool_addresses", "Addresses of a pool.", labels=["pool", "state"])
    for pool in status.get("pools", ()):
        name = f"{pool['first']}-{pool['last']}"
        leases.add_metric([name, "in use"], pool["in_use"])
        leases.add_metric([name, "free"], pool["size"] - pool["in_use"])
    yield leases


SA_COUNTERS = (
    ("packets", "packets", "Packets an SA has carried."),
    ("octets", "octets", "Octets an SA has carried."),
    ("replays", "replays", "Packets that came twice or far too late."),
    ("auth_failures", "auth_failures", "Packets that were not authentic."),
    ("selector_failures", "selector_failures", "Packets outside an SA's selectors."),
)


def _sas(rows: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ["connection", "serial", "direction", "spi"]
    found = [(CounterMetricFamily(f"openswan_sa_{name}", text, labels=labels), key) for name, key, text in SA_COUNTERS]
    for row in rows:
        values = [row["owner"] or "", str(row["serial"]), row["direction"], f"0x{row['spi']:08x}"]
        for metric, key in found:
            metric.add_metric(values, row[key])
    for metric, _ in found:
        yield metric


def _tables(state: State) -> Iterator[Metric]:
    eroutes = GaugeMetricFamily("openswan_eroutes", "Eroutes, by what they lead to.", labels=["target"])
    kinds = Counter(row["target"] if row["target"].startswith("%") else "sa" for row in state.eroutes)
    for kind, count in sorted(kinds.items()):
        eroutes.add_metric([kind], count)
    yield eroutes
    held = GaugeMetricFamily("openswan_held_packets", "First packets that wait for a tunnel.")
    held.add_metric([], sum(row["held"] for row in state.eroutes))
    yield held
    packets = CounterMetricFamily("openswan_interface_packets", "Packets of ipsecN.", labels=["interface", "direction"])
    for row in state.devices:
        packets.add_metric([row["name"], "in"], row["rx_packets"])
        packets.add_metric([row["name"], "out"], row["tx_packets"])
    yield packets


class Openswan(Collector):
    """Asks the daemon each time somebody collects."""

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        yield from families(ask())


def registry() -> CollectorRegistry:
    """With nothing in it but ours."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Openswan())
    return made


def place(text: str) -> tuple[str, int]:
    """`[ADDRESS:]PORT`; Misuse when it is none."""
    address, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal()) or not 0 <= int(port[:9]) < 65536:
        raise Misuse(f"--listen: `{text[:60]}' is no [ADDRESS:]PORT")
    return address.strip("[]") or "127.0.0.1", int(port)


def _act(given: Given) -> int:
    if "--textfile" in given and "--listen" in given:
        raise Misuse("`--textfile' and `--listen' together")
    try:
        if "--textfile" in given:
            write(Path(given.value("--textfile")), classic(registry()))
        elif "--listen" in given:
            serve(*place(given.value("--listen")), registry())
        else:
            sys.stdout.write(openmetrics(registry()).decode())  # type: ignore[no-untyped-call]
    except HostError as why:
        print(f"ipsec metrics: {why}", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str]) -> int:
    """Print, write or serve."""
    return run(SYNTAX, argv, _act)
