# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec lwdnsq`: DNS look-ups by a line protocol, with what DNSSEC says of them; the daemon's own resolver answers.

A question is a line `KIND ID NAME`. Every line of the answer is `ID TIME TTL TYPE ...`, TIME in seconds since 1970, and
the last one is DONE, RETRY (nobody answers: ask again) or FATAL (with the reason).
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TextIO

from openswan.base.errors import HostError, WireError
from openswan.cli.syntax import Given, Option, Syntax, run
from openswan.host import clock
from openswan.host.dnsrecords import records
from openswan.host.logsink import clean, to_file
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus
from openswan.wire.cursor import Reader

SYNTAX = Syntax(
    "lwdnsq",
    "answer DNS look-ups given as lines on standard input",
    (
        Option("--prompt", "print a prompt before each line"),
        Option("--serial", "accepted: questions are answered one after the other in any case"),
        Option("--debug", "tell on standard error what is asked"),
        Option("--log", "write a line for each question to this file", "FILE"),
        Option("--regress", "print 0 for times and TTLs, so that output can be compared"),
        Option("--ignoreeof", "accepted: all that was asked is answered before the end in any case"),
    ),
    details=(
        "Questions are lines of a kind, an identifier of your choice and a name: KEY, TXT, IPSECKEY, A, AAAA; KEY4, "
        "TXT4, IPSECKEY4 and KEY6, TXT6, IPSECKEY6 for the reverse name of an address; OE4 and OE6 (all that "
        "opportunistic encryption wants to know of an address), VPN4 and VPN6 (the keys of it). HELP, QUIT and DEBUG N "
        "stand alone.",
        "Lines of an answer begin with the identifier, the time and the TTL. START comes first; DNSSEC OKAY or DNSSEC "
        "not present; CNAME and CNAMEFROM for each name the trail leads over; NAME; then the records, AD- before "
        "their type when they were validated by a resolver on this host; DONE. RETRY instead means that no server "
        "answers, FATAL that there is no such name, or that its signatures are wrong.",
    ),
    statuses={0: "end of input, or QUIT", 1: "the log cannot be written", 2: "usage error"},
    see=("ipsec_verify(8)", "ipsec_showhostkey(8)"),
)
LONGEST = 4096
"""Characters of a line."""
TYPES: dict[str, tuple[str, ...]] = {
    "KEY": ("KEY",),
    "TXT": ("TXT",),
    "IPSECKEY": ("IPSECKEY",),
    "OE": ("IPSECKEY", "TXT"),
    "VPN": ("IPSECKEY", "KEY"),
}
KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "A": (0, ("A",)),
    "AAAA": (0, ("AAAA",)),
    **{kind: (0, types) for kind, types in TYPES.items() if kind not in ("OE", "VPN")},
    **{f"{kind}{version}": (version, types) for kind, types in TYPES.items() for version in (4, 6)},
}
"""Kind -> (family of the address whose reverse name is asked for, 0: a name; types of records)."""
HELP = f"commands: HELP QUIT DEBUG N, and with ID NAME: {' '.join(sorted(KINDS))}"


def data_text(kind: str, data: bytes) -> str:
    """A record's data for people: an address, TXT's strings in quotes, anything else in base64."""
    try:
        if kind in ("A", "AAAA"):
            return str(ip_address(data))
        if kind == "TXT":
            return " ".join(f'"{_printable(part)}"' for part in _strings(data))
    except (ValueError, WireError):
        pass
    return base64.b64encode(data).decode()


def _strings(data: bytes) -> Iterator[bytes]:
    """The character-strings of a TXT record (RFC 1035 3.3.14)."""
    reader = Reader(data)
    while reader.remaining:
        yield reader.octets(reader.u8())


def _printable(octets: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\{each:03d}" for each in octets)


def answer_lines(name: str, answers: Sequence[DnsAnswer]) -> Iterator[tuple[float, str]]:
    """(TTL, rest of the line) for the answers about one name."""
    yield 0.0, "START"
    if all(answer.status is DnsStatus.FAILED for answer in answers):
        yield 0.0, f"RETRY {answers[0].reason}"
        return
    if bogus := next((answer for answer in answers if answer.status is DnsStatus.BOGUS), None):
        yield 0.0, f"FATAL {bogus.reason}"
        return
    found = [answer for answer in answers if answer.status is DnsStatus.FOUND]
    if not found:
        yield 0.0, f"FATAL {next((answer.reason for answer in answers if answer.reason), 'no such record')}"
        return
    yield 0.0, "DNSSEC OKAY" if all(answer.secure for answer in found) else "DNSSEC not present"
    here = name
    for there in found[0].trail:
        yield found[0].ttl, f"CNAME {there}"
        yield found[0].ttl, f"CNAMEFROM {here}"
        here = there
    yield found[0].ttl, f"NAME {here}"
    for answer in found:
        for data in answer.records:
            yield answer.ttl, f"{'AD-' * answer.secure}{answer.kind} {data_text(answer.kind, data)}"
    yield 0.0, "DONE"


class Session:
    """One conversation; `look_up` answers questions."""

    def __init__(
        self, out: TextIO, look_up: Callable[[list[tuple[str, str]]], list[DnsAnswer]], regress: bool = False
    ) -> None:
        self._out = out
        self._look_up = look_up
        self._regress = regress

    def line(self, text: str) -> bool:
        """Answer one line; False: that was the last one."""
        words = text.split()
        kind = words[0].upper() if words else ""
        if kind == "QUIT":
            return False
        if kind == "HELP":
            self._say(HELP)
        elif kind == "DEBUG" and len(words) == 2:
            pass
        elif kind in KINDS and len(words) == 3 and len(text) <= LONGEST:
            self._question(*KINDS[kind], words[1], words[2])
        elif words:
            self._say(f"{words[1] if len(words) > 1 else '0'} 0 0 FATAL `{words[0][:40]}' not understood: {HELP}")
        return True

    def _question(self, version: int, types: tuple[str, ...], ident: str, name: str) -> None:
        try:
            asked = _reverse(name, version) if version else name.rstrip(".")
        except ValueError:
            self._tell(ident, 0.0, f"FATAL `{name[:80]}' is no IPv{version} address")
            return
        for ttl, rest in answer_lines(asked, self._look_up([(asked, kind) for kind in types])):
            self._tell(ident, ttl, rest)

    def _tell(self, ident: str, ttl: float, rest: str) -> None:
        now, left = (0, 0) if self._regress else (int(clock.unix()), int(ttl))
        self._say(f"{ident} {now} {left} {rest}")

    def _say(self, text: str) -> None:
        print(clean(text), file=self._out, flush=True)


def _reverse(text: str, version: int) -> str:
    address = ip_address(text)
    if address.version != version:
        raise ValueError
    return address.reverse_pointer


def _act(given: Given) -> int:
    try:
        log = to_file_named(given.value("--log"))
    except HostError as why:
        print(f"ipsec lwdnsq: {why}", file=sys.stderr)
        return 1
    session = Session(sys.stdout, records, "--regress" in given)
    while True:
        if "--prompt" in given:
            print("lwdnsq> ", end="", flush=True)
        # One more than a line may have: what is longer comes in pieces, each of which is refused.
        text = sys.stdin.readline(LONGEST + 2)
        if not text:
            return 0
        log(text.strip())
        if "--debug" in given:
            print(f"lwdnsq: {text.strip()}", file=sys.stderr)
        if not session.line(text.strip()):
            return 0


def to_file_named(name: str) -> Callable[[str], None]:
    """A function that writes lines to a file, or to nowhere without a name; HostError when it cannot be opened."""
    if not name:
        return lambda text: None
    sink = to_file(Path(name))
    return lambda text: sink(text, False)


def main(argv: list[str]) -> int:
    """Answer until the input ends."""
    return run(SYNTAX, argv, _act)
