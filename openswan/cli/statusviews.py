# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec trafficstatus`, `shuntstatus`, `connectionstatus`: a part of the state each, in libreswan's words."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from openswan.base.errors import HostError
from openswan.base.log import Rc
from openswan.cli.syntax import Given, Option, Syntax, run
from openswan.cli.talk import request
from openswan.host import clock

JSON = Option("--json", "print JSON")
STATUSES = {0: "printed", 1: "there is no daemon to ask", 2: "usage error", 21: "there is no such connection"}
Row: TypeAlias = dict[str, Any]

TRAFFIC = Syntax(
    "trafficstatus",
    "show how much traffic each tunnel has carried",
    (JSON,),
    "[CONN]",
    most=1,
    details=(
        "One line for each IPsec SA pair: its serial number, its connection, the protocol, when it was made (seconds "
        "since 1970), the octets that came in and went out by it, what its life ends at, and who the peer has proved "
        "to be. With CONN only the SAs of that connection.",
    ),
    statuses=STATUSES,
    see=("ipsec_status(8)", "ipsec_spi(8)"),
)
SHUNT = Syntax(
    "shuntstatus",
    "show the eroutes that lead to no SA",
    (JSON,),
    details=(
        "One line for each pair of nets whose packets are passed, dropped, rejected, trapped or held: source, "
        "protocol and destination with ports, what becomes of the packets, and how long none has come.",
    ),
    statuses={status: STATUSES[status] for status in (0, 1, 2)},
    see=("ipsec_eroute(8)", "ipsec_status(8)"),
)
CONNECTION = Syntax(
    "connectionstatus",
    "show the loaded connections without their SAs",
    (JSON,),
    "[CONN]",
    most=1,
    details=("The connections' part of ipsec status, or that of one connection.",),
    statuses=STATUSES,
    see=("ipsec_status(8)", "ipsec_auto(8)"),
)


def _plain(verb: str) -> Any:
    return json.loads("".join(text for _, text in request(verb, timeout=30.0, json=True)) or "null")


def _is(name: str, conn: str) -> bool:
    """Is `name` the conn, or one of the pairs its subnets were expanded to, or an instance of either?"""
    base = name.partition("[")[0]
    return base == conn or base.startswith(f"{conn}/")


def traffic_rows(state: Row, sas: list[Row], now: float) -> list[Row]:
    """What each child SA has carried, sorted by connection and serial; `now` is seconds since 1970."""
    peers = {ike["serial"]: ike["peer_id"] for ike in state["ike_sas"]}
    octets: dict[tuple[int, str], int] = {}
    life: dict[int, int] = {}
    for sa in sas:
        # With compression two SAs carry the same packets; both count what is inside.
        key = (sa["serial"], sa["direction"])
        octets[key] = max(octets.get(key, 0), sa["octets"])
        life[sa["serial"]] = sa["life"]["hard_bytes"] or life.get(sa["serial"], 0)
    rows = [
        {
            "serial": child["serial"],
            "connection": child["connection"],
            "type": child["protocol"].upper(),
            "add_time": round(now - child["age"]),
            "in_bytes": octets.get((child["serial"], "in"), 0),
            "out_bytes": octets.get((child["serial"], "out"), 0),
            "max_bytes": life.get(child["serial"]) or None,
            "id": peers.get(child["ike"]),
        }
        for child in state["child_sas"]
    ]
    return sorted(rows, key=lambda row: (row["connection"], row["serial"]))


def traffic_line(row: Row) -> str:
    """`#2: "net", type=ESP, add_time=1234, inBytes=84, outBytes=84, maxBytes=2^63B, id='@east'`."""
    most = f"{row['max_bytes']}B" if row["max_bytes"] else "2^63B"
    return (
        f'#{row["serial"]}: "{row["connection"]}", type={row["type"]}, add_time={row["add_time"]}, '
        f"inBytes={row['in_bytes']}, outBytes={row['out_bytes']}, maxBytes={most}, id='{row['id'] or '(none)'}'"
    )


def shunt_rows(eroutes: Iterable[Row]) -> list[Row]:
    """The eroutes whose target is a shunt."""
    return [row for row in eroutes if row["target"].startswith("%")]


def shunt_line(row: Row) -> str:
    """`10.1.1.5/32:0 -0-> 203.0.113.4/32:0 => %hold 0    oe    (14s)`: why is the connection it is there for."""
    return (
        f"{row['src']}:{row['src_port']} -{row['protocol']}-> {row['dst']}:{row['dst_port']} => {row['target']} 0"
        f"    {row['owner'] or 'by hand'}    ({int(row['idle'])}s)"
    )


def connection_lines(lines: Iterable[str], conn: str = "") -> Iterator[str]:
    """Those of the status that speak of connections, or of one."""
    for line in lines:
        if line.startswith('"') and (not conn or _is(line[1:].partition('"')[0], conn)):
            yield line


def _unknown(conn: str) -> int:
    print(f'{Rc.UNKNOWN_NAME:03d} no connection named "{conn}"')
    return int(Rc.UNKNOWN_NAME)


def _traffic(given: Given) -> int:
    conn = given.operands[0] if given.operands else ""
    state = _plain("status")
    if conn and not any(_is(row["name"], conn) for row in state["connections"]):
        return _unknown(conn)
    rows = traffic_rows(state, _plain("spi"), clock.unix())
    rows = [row for row in rows if not conn or _is(row["connection"], conn)]
    _print(given, rows, map(traffic_line, rows), "006")
    return 0


def _shunts(given: Given) -> int:
    rows = shunt_rows(_plain("eroute"))
    _print(given, rows, ["Bare Shunt list:", "", *map(shunt_line, rows)])
    return 0


def _connections(given: Given) -> int:
    conn = given.operands[0] if given.operands else ""
    if "--json" in given:
        rows = [row for row in _plain("status")["connections"] if not conn or _is(row["name"], conn)]
        _print(given, rows, ())
    else:
        rows = list(connection_lines((text for _, text in request("status", timeout=30.0)), conn))
        _print(given, rows, rows)
    return _unknown(conn) if conn and not rows else 0


def _print(given: Given, rows: Any, lines: Iterable[str], code: str = "000") -> None:
    if "--json" in given:
        print(json.dumps(rows))
        return
    for line in lines:
        print(f"{code} {line}")


VIEWS: dict[str, tuple[Syntax, Callable[[Given], int]]] = {
    "trafficstatus": (TRAFFIC, _traffic),
    "shuntstatus": (SHUNT, _shunts),
    "connectionstatus": (CONNECTION, _connections),
}
SYNTAXES = {name: syntax for name, (syntax, _) in VIEWS.items()}


def main(argv: list[str]) -> int:
    """Print the view that the first argument names (the table of commands puts it there)."""
    syntax, act = VIEWS[argv[0]]

    def ask(given: Given) -> int:
        try:
            return act(given)
        except HostError as why:
            print(why, file=sys.stderr)
            return 1

    return run(syntax, argv[1:], ask)
