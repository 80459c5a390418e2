# SPDX-License-Identifier: GPL-2.0-or-later
"""Many tunnels at once and thousands of conns, beside strongSwan in the same run.

`python -m tests.bench.many [load] [up] [v1] [asked] [ten]`, as root; all of it without arguments. Each conn has
identities of its own, so each tunnel is an IKE SA of its own: PSK, X25519, AES-GCM; IKEv1: PSK, P-256, AES-GCM.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

from openswan.config.load import load as parse_conf
from openswan.config.plain import connection_to_plain
from openswan.wire.whack import encode_request
from tests.bench.machine import describe, resident
from tests.netns.conns import NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.strongswan import SECRET, StrongSwan

MANY = 500
THOUSANDS = 10_000
ALGORITHMS = {"ike": "aes_gcm128-sha2_256-x25519", "esp": "aes_gcm128"}
V1 = {"ikev2": "no", "ike": "aes128-sha2_256-dh19", "esp": "aes_gcm128", "pfs": "no"}


def nets(n: int) -> tuple[str, str]:
    """The two networks of conn number n."""
    where = f"{n >> 12}.{(n >> 4) & 255}.{(n & 15) << 4}/28"
    return f"10.{16 + (n >> 12)}." + where.split(".", 1)[1], f"10.{32 + (n >> 12)}." + where.split(".", 1)[1]


def conns(count: int, auto: str, **more: str) -> str:
    """So many peers at one address, told apart by their identities."""
    text = ""
    for n in range(count):
        west, east = nets(n)
        ids = {"leftid": f"@west{n}", "rightid": f"@east{n}", "leftsubnet": west, "rightsubnet": east}
        text += conn(f"peer{n}", NET4, **{**ids, **ALGORITHMS, "auto": auto, **more})
    return text


def at_home(host: Host, count: int) -> None:
    """An address in each of its nets, without which strongSwan's user-space engine refuses a child."""
    lines = (f"addr add {nets(n)[host.name == 'east'].replace('/28', '')} dev lan" for n in range(count))
    batch = host.lab.dir / f"{host.name}-addresses"
    batch.write_text("\n".join(lines) + "\n")
    host.ip("-batch", str(batch))


def swanctl(count: int, here: str, start: bool) -> str:
    """The same for strongSwan at `here`."""
    there = "east" if here == "west" else "west"
    address = {"west": "192.0.2.1", "east": "192.0.2.2"}
    text = "connections {\n"
    for n in range(count):
        west, east = nets(n)
        mine, theirs = (west, east) if here == "west" else (east, west)
        action = "start_action = start" if start else ""
        text += (
            f"  peer{n} {{\n    version = 2\n    local_addrs = {address[here]}\n    remote_addrs = {address[there]}\n"
            f"    proposals = aes128gcm16-prfsha256-x25519\n    rekey_time = 0\n"
            f"    local {{ auth = psk\n      id = {here}{n} }}\n    remote {{ auth = psk\n      id = {there}{n} }}\n"
            f"    children {{ net{n} {{ local_ts = {mine}\n      remote_ts = {theirs}\n"
            f"      esp_proposals = aes128gcm16\n      {action} }} }}\n  }}\n"
        )
    return text + "}\n" + SECRET


class Tail:
    """Counts lines with certain words in a growing log, reading each octet once."""

    def __init__(self, path: Path, *words: str) -> None:
        self.path, self.words = path, words
        self.counts = dict.fromkeys(words, 0)
        self.at = 0
        self.rest = b""

    def look(self) -> dict[str, int]:
        """How many of each there are by now."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.at)
                data = self.rest + file.read()
                self.at = file.tell()
            lines = data.split(b"\n")
            self.rest = lines.pop()
            for line in lines:
                for word in self.words:
                    self.counts[word] += word.encode() in line
        return self.counts


UP, AGAIN = "established tunnel mode", "retransmission; will wait"
FIRSTS = ("initiating v2 parent SA", "initiating Main Mode")
THEIRS, THEIRS_AGAIN = "} established with SPIs", "retransmit "


def ours(gateway: Gateway) -> Tail:
    """What our daemon says."""
    return Tail(gateway.run_dir / "pluto.log", UP, AGAIN, *FIRSTS)


def theirs(swan: StrongSwan) -> Tail:
    """What charon says."""
    return Tail(swan.dir / "log", THEIRS, THEIRS_AGAIN)


def whack(gateway: Gateway, verb: str, **arguments: object) -> list[str]:
    """A request on the control socket, without the time a command takes to start."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(gateway.run_dir / "pluto.ctl"))
        sock.sendall(encode_request(verb, **arguments))
        data = b""
        while chunk := sock.recv(1 << 20):
            data += chunk
    return data.decode().splitlines()


def loaded(gateway: Gateway, count: int, most: float = 120.0) -> float:
    """Seconds until so many conns are there."""
    begin = time.monotonic()
    tail = Tail(gateway.run_dir / "pluto.log", "added connection description", "Pluto initialized")
    wait_for("all conns", lambda: tail.look()["added connection description"] >= count, most, 0.02)
    return time.monotonic() - begin


def tunnels(left: Tail, right: Tail, words: tuple[str, str], count: int, most: float) -> float:
    """Seconds until both logs have them all."""
    begin = time.monotonic()
    wait_for(
        "all tunnels",
        lambda: left.look()[words[0]] >= count and right.look()[words[1]] >= count,
        most,
        0.02,
    )
    return time.monotonic() - begin


def between_ours(count: int, most: float, **more: str) -> tuple[float, float, int, float]:
    """Seconds from the first that is initiated until all are up on both sides, and from the initiator's `setup start`;
    repetitions; KB a tunnel of one side."""
    with Lab() as lab:
        east = Gateway(lab.east, conns(count, "add", **more), SECRETS)
        west = Gateway(lab.west, conns(count, "start", **more), SECRETS)
        east.start()
        loaded(east, count)
        time.sleep(0.5)
        idle = resident(east.pid)
        a, b = ours(west), ours(east)
        begin = time.monotonic()
        west.start()
        wait_for("the first", lambda: any(a.look()[first] for first in FIRSTS), most, 0.005)
        first = time.monotonic()
        tunnels(a, b, (UP, UP), count, most)
        end = time.monotonic()
        time.sleep(1.0)
        return end - first, end - begin, a.look()[AGAIN] + b.look()[AGAIN], (resident(east.pid) - idle) * 1024 / count


def between_theirs(count: int) -> tuple[float, int]:
    """The same between two strongSwans: from `swanctl --load-all`, which starts them all."""
    with Lab() as lab:
        for each in (lab.east, lab.west):
            at_home(each, count)
        east, west = StrongSwan(lab.east), StrongSwan(lab.west)
        east.load(swanctl(count, "east", False))
        a, b = theirs(west), theirs(east)
        begin = time.monotonic()
        west.load(swanctl(count, "west", True))
        tunnels(a, b, (THEIRS, THEIRS), count, 120)
        return time.monotonic() - begin, a.look()[THEIRS_AGAIN] + b.look()[THEIRS_AGAIN]


def asked_by_strongswan(count: int) -> tuple[float, int]:
    """strongSwan brings up all of them to us."""
    with Lab() as lab:
        at_home(lab.west, count)
        east, west = Gateway(lab.east, conns(count, "add", encapsulation="yes"), SECRETS), StrongSwan(lab.west)
        east.start()
        loaded(east, count)
        a, b = theirs(west), ours(east)
        begin = time.monotonic()
        west.load(swanctl(count, "west", True))
        tunnels(a, b, (THEIRS, UP), count, 120)
        return time.monotonic() - begin, a.look()[THEIRS_AGAIN]


def load(count: int) -> tuple[float, float, float]:
    """Seconds from `setup start` until all conns are there, for one more, and for `status --json`."""
    with Lab() as lab:
        west = Gateway(lab.west, conns(count, "add"), SECRETS)
        begin = time.monotonic()
        west.start()
        loaded(west, count)
        took = time.monotonic() - begin
        path = west.dir / "ipsec.conf"
        path.write_text(path.read_text() + conn("more", NET4, leftsubnet="10.99.0.0/24", rightsubnet="10.98.0.0/24"))
        more = connection_to_plain(next(c for c in parse_conf(path).connections if c.name == "more"))
        begin = time.monotonic()
        whack(west, "add", connection=more)
        one = time.monotonic() - begin
        begin = time.monotonic()
        (line,) = whack(west, "status", json=True)
        asked = time.monotonic() - begin
        assert len(json.loads(line[4:])["connections"]) == count + 1
        return took, one, asked


def row(what: str, figures: str, wanted: str) -> None:
    """A line of the table."""
    print(f"| {what} | {figures} | {wanted} |", flush=True)


def main(words: list[str]) -> None:
    """Measure and print."""
    print(f"machine: {describe()}")
    chosen = words or ["load", "up", "v1", "asked", "ten"]
    if "load" in chosen:
        took, one, asked = load(THOUSANDS)
        row(
            f"{THOUSANDS:,} conns loaded; one more; `status --json`",
            f"{took:.2f}, {one:.3f}, {asked:.2f} s",
            "5, 0.05, 2 s",
        )
    if "up" in chosen:
        took, whole, again, memory = between_ours(MANY, 60)
        what = f"{MANY} tunnels between two of ours; from `setup start`; repetitions; KB a tunnel"
        row(what, f"{took:.2f} s; {whole:.2f} s; {again}; {memory:.0f}", "2.5 s; -; 0; 60")
        other, their_again = between_theirs(MANY)
        row(f"{MANY} between two strongSwans; repetitions", f"{other:.2f} s; {their_again}", "")
        row("ratio", f"{took / other:.2f}", "0.25")
    if "v1" in chosen:
        took, whole, again, memory = between_ours(MANY, 60, **V1)
        what = f"{MANY} IKEv1 tunnels between two of ours; from `setup start`; repetitions; KB a tunnel"
        row(what, f"{took:.2f} s; {whole:.2f} s; {again}; {memory:.0f}", "5 s; -; 0; 60")
    if "asked" in chosen:
        took, again = asked_by_strongswan(MANY)
        row(f"{MANY} by strongSwan to us; repetitions", f"{took:.2f} s; {again}", "no slower than to strongSwan")
    if "ten" in chosen:
        took, whole, again, memory = between_ours(THOUSANDS, 300)
        what = f"{THOUSANDS:,} tunnels between two of ours; from `setup start`; repetitions; KB a tunnel"
        row(what, f"{took:.1f} s; {whole:.1f} s; {again}; {memory:.0f}", "60 s; -; -; 60")


if __name__ == "__main__":
    main(sys.argv[1:])
