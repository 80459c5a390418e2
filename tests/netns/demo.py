# SPDX-License-Identifier: GPL-2.0-or-later
"""The story `make demo` tells: two gateways, a tunnel, what the wire saw, a daemon killed and what did not leak.

Everything happens in network namespaces of this process; at the end none is left. Exit status 0: every claim held.
"""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

from tests.netns.capture import Capture
from tests.netns.conns import INNER, SECRETS
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, LabError, alive, namespaces, wait_for
from tests.netns.traffic import Flow, Receiver, ping, transfer

PICTURE = """
    sunset -----lan----- west =========wan========= east -----lan----- sunrise
    10.1.0.2        10.1.0.1  192.0.2.1     192.0.2.2  10.2.0.1       10.2.0.2
    2001:db8:1::2        ::1  2001:db8::1         ::2  2001:db8:2::1       ::2
"""

CONF = """\
version 2.0
config setup

conn %default
    left=192.0.2.1
    right=192.0.2.2
    authby=secret

conn net4
    leftsubnet=10.1.0.0/24
    rightsubnet=10.2.0.0/24
    auto=AUTO

conn net6
    leftsubnet=2001:db8:1::/64
    rightsubnet=2001:db8:2::/64
    auto=AUTO
"""


def head(text: str) -> None:
    """A chapter."""
    line = f"== {text} "
    print(f"\n{line}{'=' * max(3, 98 - len(line))}", flush=True)


def say(text: str) -> None:
    """A paragraph."""
    print(textwrap.fill(" ".join(text.split()), 98), flush=True)


def show(prompt: str, text: str, limit: int = 12) -> None:
    """A command and what it printed, not all of it when that is long."""
    print(f"  {prompt}")
    lines = text.rstrip().splitlines()
    for line in lines[:limit]:
        print(f"    {line[:150]}")
    if len(lines) > limit:
        print(f"    ... {len(lines) - limit} more lines")
    sys.stdout.flush()


def claim(truth: bool, text: str) -> None:
    """Something this demonstration stands or falls with."""
    if not truth:
        raise LabError(f"not so: {text}")
    print(f"  [ok] {text}", flush=True)


class Tcpdump:
    """tcpdump's own words about a device."""

    def __init__(self, host: Host, device: str) -> None:
        self._out = host.lab.dir / f"tcpdump-{host.name}-{device}"
        self.command = f"{host.name}# tcpdump -n -i {device}"
        with self._out.open("w") as out:
            self._process = host.start("tcpdump", "-n", "-l", "-t", "--immediate-mode", "-i", device, stdout=out)
        wait_for("tcpdump", lambda: "listening" in self._out.read_text(), 5)

    def stop(self) -> str:
        """The packets' lines."""
        time.sleep(0.2)
        self._process.terminate()
        self._process.wait(5)
        quiet = ("listening on", "verbose output", " captured", " received by", " dropped by")
        return "\n".join(line for line in self._out.read_text().splitlines() if not any(q in line for q in quiet))


def some_of_each(text: str, words: tuple[str, ...], each: int = 2) -> str:
    """The first few lines with each of the words."""
    lines = text.splitlines()
    picked = sorted({i for word in words for i in [n for n, line in enumerate(lines) if word in line][:each]})
    return "\n".join([lines[i] for i in picked] + [f"({len(lines)} lines in all)"])


def tell(lab: Lab) -> None:
    """The story itself."""
    head("1. Four hosts and the wires between them, all in network namespaces")
    print(PICTURE.rstrip())
    words = lab.sunset.run("ping", "-n", "-c", "1", "10.2.0.2", check=False).stdout
    show("sunset# ping -c 1 10.2.0.2", words, 2)
    say("West and east forward plainly so far: this ping crossed the wire in clear.")

    head("2. The same few lines of ipsec.conf on both gateways")
    west = Gateway(lab.west, CONF.replace("AUTO", "start"), SECRETS)
    east = Gateway(lab.east, CONF.replace("AUTO", "add"), SECRETS)
    show("west# cat ipsec.conf      (east has auto=add)", (west.dir / "ipsec.conf").read_text(), 40)
    show("west# cat ipsec.secrets", (west.dir / "ipsec.secrets").read_text())

    head("3. ipsec setup start")
    wire, inside = Capture(lab.west), None
    outside_words = Tcpdump(lab.west, "wan")
    for gateway in (east, west):
        done = gateway.ipsec("setup", "start")
        show(f"{gateway.host.name}# ipsec setup start", done.stdout + done.stderr)
    west.wait_tunnels(2)
    east.wait_tunnels(2)
    claim(west.tunnels() == 2, "auto=start: both tunnels came up by themselves")
    status = west.ipsec("auto", "--status").stdout
    show(
        "west# ipsec auto --status | grep -e erouted -e established",
        "\n".join(line for line in status.splitlines() if "erouted" in line or "established" in line),
    )

    head("4. Pings and a TCP transfer through the tunnel")
    inside_words = Tcpdump(lab.west, "ipsec0")
    inside = Capture(lab.west, "ipsec0")
    for target in ("10.2.0.2", "2001:db8:2::2"):
        words = lab.sunset.run("ping", "-n", "-c", "3", "-i", "0.2", target, check=False).stdout
        show(f"sunset# ping -c 3 {target}", words)
        claim(ping(lab.sunset, target, 5).lost == 0, "every ping is answered")
    moved = transfer(lab.sunset, lab.sunrise, "10.2.0.2", 16 << 20)
    claim(
        moved.intact, f"{moved.octets >> 20} MiB over TCP, SHA-256 the same at the far end, {moved.megabits:.0f} Mbit/s"
    )

    head("5. What tcpdump saw: plaintext on ipsec0, only ESP and IKE on the wire")
    show(inside_words.command, some_of_each(inside_words.stop(), ("ICMP echo", "ICMP6, echo", "Flags")), 9)
    say("(lengths beyond the MTU are super-packets: the stack hands them over whole and the engine cuts them up)")
    show(outside_words.command, some_of_each(outside_words.stop(), ("isakmp", "UDP-encap: ESP", " ESP(")), 9)
    inside.close()
    print(f"  packets counted on ipsec0: {dict(inside.count())}")
    print(f"  packets counted on wan:    {dict(wire.count())}")
    claim(not wire.leaks(INNER), "not one plaintext packet on the wire since `ipsec setup start`")

    head("6. The tables")
    for table in ("eroute", "spi", "tncfg"):
        show(f"west# ipsec {table}", west.ipsec(table).stdout)

    head("7. kill -9 of west's daemon, in the middle of traffic")
    wire.clear()
    heard = Receiver(lab.sunrise, "10.2.0.2", 7001)
    marker = b"<<this must not be seen on the wire>>"
    flows = [
        Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, marker).start(),
        Flow(lab.west, "10.1.0.1", "10.2.0.2", 7001, marker).start(),
    ]
    wait_for("traffic", lambda: len(heard.got) > 20)
    pid = west.pid
    west.kill()
    show(f"west# kill -9 {pid}", "")
    time.sleep(0.1)
    before, sent = len(heard.got), sum(f.sent for f in flows)
    time.sleep(1.5)
    after = sum(f.sent for f in flows) - sent
    ipv6 = ping(lab.sunset, "2001:db8:2::2", 2, wait=0.5)
    arrived = len(heard.got) - before
    print(f"  while no daemon ran: {after} datagrams sent, {arrived} arrived; ping6: {ipv6.received} of 2 answered")
    print(f"  packets counted on wan: {dict(wire.count())}")
    claim(after > 100 and len(heard.got) == before and not ipv6.received, "nothing got through")
    claim(not wire.leaks(INNER, [marker]), "and nothing went out in clear")

    head("8. Restart, and the traffic is back")
    done = west.ipsec("setup", "start")
    show("west# ipsec setup start", done.stdout + done.stderr)
    wait_for("traffic", lambda: len(heard.got) > before + 20, 20)
    for flow in flows:
        flow.stop()
    claim(True, "the same flows arrive again")
    claim(ping(lab.sunset, "2001:db8:2::2", 3).lost == 0, "so do pings")
    wire.close()
    claim(not wire.leaks(INNER, [marker]), f"plaintext packets on the wire in all that time: 0 of {len(wire.frames)}")

    head("9. ipsec setup stop opens the way again and removes what was set up")
    for gateway in (west, east):
        done = gateway.ipsec("setup", "stop")
        show(f"{gateway.host.name}# ipsec setup stop", done.stdout + done.stderr)
    rules = lab.west.run("nft", "list", "ruleset").stdout.strip()
    claim(not rules, "no rule of ours is left")
    claim(not alive(pid) and not west.pid, "no daemon is left")
    claim(ping(lab.sunset, "10.2.0.2", 1).lost == 0, "in clear again, as before the start")


def main() -> int:
    """Tell it; 1 when something did not hold, 2 when it cannot be told here."""
    if os.geteuid():
        print("the demonstration makes network namespaces: sudo make demo", file=sys.stderr)
        return 2
    if not Path("/dev/net/tun").exists():
        print("/dev/net/tun is missing: modprobe tun", file=sys.stderr)
        return 2
    begin = time.monotonic()
    mine: list[str] = []
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with Lab() as lab:
            mine = [host.ns for host in lab.hosts.values()]
            tell(lab)
    except (LabError, AssertionError, OSError) as error:
        print(f"\nthe demonstration failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nthe demonstration was interrupted; everything is put away", file=sys.stderr)
        return 130
    left = set(mine) & set(namespaces())
    head(f"Done in {time.monotonic() - begin:.1f} s; namespaces left: {len(left)}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
