# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec ikeping`: does anybody speak IKE at a host?

Two questions are asked, neither of which leaves anything behind at the peer. Exchange type 244 of IKEv1 is Openswan's
echo, answered with 245. A message of IKE version 3, which nobody has, is what every IKEv2 implementation should answer
with INVALID_MAJOR_VERSION (RFC 7296 2.5). Any answer shows that the way there and back is open.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from openswan.base.address import parse_address
from openswan.base.errors import ConfigError, HostError, WireError
from openswan.base.numbers import IKE_PORT, NATT_PORT, NON_ESP_MARKER
from openswan.cli.ourmarks import configured
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.host.entropy import SystemRng
from openswan.host.ikeping import Answer, Target, ask, listen
from openswan.host.naming import addresses_of
from openswan.wire.header import SPI_OCTETS, Flags, Header, add_marker
from openswan.wire.ikeping import questions
from openswan.wire.v2.numbers import ECHO_REPLY, ECHO_REQUEST, ExchangeType

SYNTAX = Syntax(
    "ikeping",
    "ask hosts whether anybody speaks IKE there",
    (
        Option("--verbose", "tell what is sent and how long the answer took"),
        Option("--listen", "answer echo requests of others instead, until --wait is over (0: for ever)"),
        Option("--ikeport", "send from, or listen on, this port; otherwise any free one, or 500", "PORT"),
        Option("--ikeaddress", "send from, or listen on, this address", "ADDRESS"),
        Option("--inet", "take IPv4 addresses of names"),
        Option("--inet6", "take IPv6 addresses of names"),
        Option("--nat-t", "use port 4500 and the marker of NAT traversal"),
        Option("--exchangenum", "ask only with this exchange type of IKEv1 (244: Openswan's echo)", "N"),
        Option("--wait", "seconds to wait for answers, 3 by default", "SECONDS"),
    ),
    "HOST[/PORT]...",
    most=256,
    details=(
        "Sends each host two IKE messages that ask for no SA: Openswan's echo request, and one of an IKE version that "
        "does not exist, which an IKEv2 daemon answers by saying so. Each answer is printed; any answer means that "
        "the daemon is there and that packets get through both ways. ipsec pluto answers both.",
        "No answer does not prove that there is none: a peer may keep silent, and filters may stand between. The "
        "messages go the way of the daemon's own packets, past the routes into tunnels.",
    ),
    statuses={0: "every host has answered", 1: "one has not", 2: "usage error"},
    see=("ipsec_showroute(8)", "ipsec_verify(8)"),
)
NAMES = {ECHO_REQUEST: "echo-request", ECHO_REPLY: "echo-reply"}


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask."""

    version: int
    """Family of addresses, 0: any."""
    exchange: int
    both: bool
    marker: bool
    verbose: bool

    def messages(self, spi: bytes) -> tuple[bytes, ...]:
        """The questions, each an IKE header alone."""
        return questions(spi, self.exchange, self.both, self.marker)


def _host(word: str, asking: Asking, spi: bytes) -> Target:
    name, slash, text = word.partition("/")
    port = NATT_PORT if asking.marker else IKE_PORT
    if slash:
        if not (text.isascii() and text.isdecimal()) or not 0 < int(text[:9]) < 65536:
            raise Misuse(f"`{word}': `{text}' is no port")
        port = int(text)
    return Target(addresses_of(name, asking.version, marks=configured())[0], port, asking.messages(spi))


def answer_line(answer: Answer, verbose: bool = False) -> str:
    """`received 245(echo-reply) packet from A/P of len: L`."""
    where = f"{answer.target.address}/{answer.target.port}"
    if answer.error:
        return f"{where}: {answer.error}"
    data = answer.data.removeprefix(NON_ESP_MARKER)
    try:
        header = Header.parse(data)
    except WireError as why:
        return f"received something from {where} that is not IKE: {why}"
    name = NAMES.get(header.exchange, str(header.exchange))
    took = f" after {answer.delay * 1000:.1f} ms, IKE {header.major}.{header.minor}" if verbose else ""
    return f"received {int(header.exchange)}({name}) packet from {where} of len: {len(data)}{took}"


def _ask(given: Given, asking: Asking) -> int:
    if not given.operands:
        raise Misuse("HOST is missing")
    targets, status = [], 0
    rng = SystemRng()
    for word in given.operands:
        try:
            targets.append(_host(word, asking, rng.octets(SPI_OCTETS)))
        except HostError as why:
            print(f"ipsec ikeping: {why}", file=sys.stderr)
            status = 1
    source = parse_address(given.value("--ikeaddress")) if "--ikeaddress" in given else None
    port = given.number("--ikeport", 0, 0, 65535)
    if asking.verbose:
        for target in targets:
            print(f"sending {len(target.messages)} messages to {target.address}/{target.port}")
    heard: set[Target] = set()
    wait = float(given.number("--wait", 3, 0, 3600))
    for answer in ask(targets, wait, source, port, marks=configured()):
        print(answer_line(answer, asking.verbose), flush=True)
        if not answer.error:
            heard.add(answer.target)
    for target in targets:
        if target not in heard:
            print(f"no answer from {target.address}/{target.port}", file=sys.stderr)
            status = 1
    return status


def _listen(given: Given, asking: Asking) -> int:
    source = parse_address(given.value("--ikeaddress")) if "--ikeaddress" in given else None
    version = source.version if source else asking.version or 4
    port = given.number("--ikeport", NATT_PORT if asking.marker else IKE_PORT, 1, 65535)
    wait = float(given.number("--wait", 0, 0, 86400))
    for data, host, from_port, reply in listen(version, source, port, wait, marks=configured()):
        message = data.removeprefix(NON_ESP_MARKER)
        try:
            header = Header.parse(message)
        except WireError as why:
            print(f"received something from {host}/{from_port} that is not IKE: {why}", flush=True)
            continue
        name = NAMES.get(header.exchange, str(header.exchange))
        print(
            f"received {int(header.exchange)}({name}) packet from {host}/{from_port} of len: {len(message)}", flush=True
        )
        if header.exchange == asking.exchange:
            answer = Header(header.spi_i, header.spi_r, ExchangeType(asking.exchange + 1), Flags.NONE, major=1).emit()
            reply(add_marker(answer) if len(message) < len(data) else answer)
    return 0


def _act(given: Given) -> int:
    if "--inet" in given and "--inet6" in given:
        raise Misuse("`--inet' and `--inet6' together")
    asking = Asking(
        4 if "--inet" in given else 6 if "--inet6" in given else 0,
        given.number("--exchangenum", ECHO_REQUEST, 1, 254),
        "--exchangenum" not in given,
        "--nat-t" in given,
        "--verbose" in given,
    )
    try:
        return _listen(given, asking) if "--listen" in given else _ask(given, asking)
    except (HostError, ConfigError) as why:
        print(f"ipsec ikeping: {why}", file=sys.stderr)
        return 1


def main(argv: list[str]) -> int:
    """Ask and print; 1 when somebody has not answered."""
    return run(SYNTAX, argv, _act)
