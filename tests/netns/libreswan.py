# SPDX-License-Identifier: GPL-2.0-or-later
"""libreswan on a stock Debian kernel in an emulated machine.

The guest plays east of a lab of shape `vm`: 192.0.2.2 on the wire, 10.2.0.1/24 behind it. What arrives on UDP port 7001
of its inner address goes back to port 7002 of the sender.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.netns.capture import Capture
from tests.netns.conns import INNER
from tests.netns.gateway import Gateway
from tests.netns.guest import Guest
from tests.netns.keys import Authority, bundle
from tests.netns.lab import Host, Lab
from tests.netns.traffic import assert_ping, learn_path

ECHO = r"""
use IO::Socket::INET;
use Socket;
my $s = IO::Socket::INET->new(LocalAddr => '10.2.0.1', LocalPort => 7001, Proto => 'udp') or die;
while (defined(my $from = $s->recv(my $data, 2000))) {
  $s->send($data, 0, pack_sockaddr_in(7002, (unpack_sockaddr_in($from))[1]));
}
"""

BEGIN = """
mkdir -p /var/lib/ipsec/nss /run/pluto /var/log
ipsec initnss > /tmp/initnss 2>&1
ipsec pluto --config /etc/ipsec.conf --logfile /tmp/pluto.log < /dev/null > /dev/null 2>&1
for i in 1 2 3 4 5 6 7 8 9 10; do ipsec whack --status > /dev/null 2>&1 && break; sleep 0.5; done
ipsec whack --listen
for conn in $(sed -n 's/^conn //p' /etc/ipsec.conf); do ipsec auto --add $conn; done
"""
"""Its daemon runs, with every conn of its file."""

START = f"""
cp /cfg/ipsec.conf /cfg/ipsec.secrets /etc/; chmod 600 /etc/ipsec.secrets
{BEGIN}
perl /cfg/shell.pl &
perl /cfg/echo.pl &
"""


HEAD = "config setup\n    uniqueids=yes\n    ikev1-policy=accept\n\n"
"""What every ipsec.conf of its begins with."""


class Libreswan(Guest):
    """The guest, booted, with every conn of `conf` loaded."""

    def __init__(self, host: Host, conf: str, secrets: str, start: str = START, echo: str = ECHO) -> None:
        files = {"ipsec.conf": conf, "ipsec.secrets": secrets, "echo.pl": echo, "start": start}
        super().__init__(host, host.lab.dir / "libreswan", files)

    def add(self, name: str, text: str) -> None:
        """Load a conn: `text` is all that ipsec.conf holds afterwards."""
        self.put("/etc/ipsec.conf", f"{HEAD}{text}".encode())
        self.sh(f"ipsec auto --add {name}")

    def restart(self) -> None:
        """End its daemon and begin anew, without conns."""
        self.sh(
            "ipsec whack --shutdown; while pgrep -x pluto; do sleep 0.1; done; rm -f /run/pluto/pluto.pid\n"
            "ipsec pluto --config /etc/ipsec.conf --logfile /tmp/pluto.log < /dev/null > /dev/null 2>&1\n"
            "for i in 1 2 3 4 5 6 7 8 9; do ipsec whack --status > /dev/null 2>&1 && break; sleep 0.5; done\n"
            "ipsec whack --listen",
            60,
        )

    def certify(self, authorities: dict[str, Authority]) -> None:
        """Give it a certificate of each authority, under the authority's kind, and trust in it.

        What is in its database of NSS comes there by PKCS #12; it tells certificates apart by their subjects, and a
        daemon that runs does not see new trust.
        """
        nss = "-d sql:/var/lib/ipsec/nss"
        for kind, ca in authorities.items():
            self.put("/tmp/own.p12", bundle(kind, ca.issue(f"{kind}.example"), ca))
            self.put("/tmp/ca.pem", ca.pem)
            trust = f"certutil -A {nss} -n ca-{kind} -t CT,, -a -i /tmp/ca.pem"
            self.sh(f"pk12util {nss} -i /tmp/own.p12 -W lab && {trust}")
        self.restart()

    def raw_key(self) -> str:
        """What to say behind rightrsasigkey= for an RSA key that it makes."""
        made = self.sh("ipsec newhostkey --bits 2192 2>&1", 120)
        ckaid = made.rpartition("CKAID ")[2].split()[0]
        return public_key(self.sh(f"ipsec showhostkey --right --ckaid {ckaid}"))

    def states(self) -> list[str]:
        """Lines of `ipsec whack --showstates` that speak of an SA."""
        return [line for line in self.sh("ipsec whack --showstates").splitlines() if "STATE_" in line]

    def log(self) -> str:
        """libreswan's log."""
        return "--- libreswan\n" + self.sh("tail -40 /tmp/pluto.log", check=False)


def public_key(shown: str) -> str:
    """What `ipsec showhostkey` says behind left- or rightrsasigkey=."""
    return next(line.partition("rsasigkey=")[2].strip() for line in shown.splitlines() if "rsasigkey=" in line)


@dataclass
class Peers:
    """A gateway of ours and the guest at the other end of its wire."""

    lab: Lab
    west: Gateway
    east: Libreswan

    def kernel(self) -> str:
        """The guest's kernel's SAs."""
        return self.east.sh("ip xfrm state")

    def spis(self) -> set[str]:
        """Their SPIs."""
        return set(re.findall(r"spi (0x[0-9a-f]+)", self.kernel()))

    def prove(self, far: str = "10.2.0.1", near: str = "10.1.0.2", mine: str = "10.1.0.1", kind: str = "esp") -> None:
        """Pings of all sizes both ways, as ESP of that kind and nothing else."""
        with Capture(self.lab.west, "tap0") as wire:
            learn_path(self.lab.sunset, far, 1472)
            for size in (56, 1300, 1472, 4000):
                assert_ping(self.lab.sunset, far, size=size, wait=4)
            assert_ping(self.lab.west, far, source=mine, wait=4)
            answer = self.east.sh(f"ping -n -c 3 -i 0.2 -W 4 -s 1400 -I {far} {near}")
            assert "3 received" in answer, answer
            wire.close()
            # The orders to the guest are TCP between the outer addresses; nothing else may be seen.
            orders = [s for s in wire.leaks(INNER) if s.kind == "tcp" and {s.src, s.dst} == {"192.0.2.1", "192.0.2.2"}]
            assert len(orders) == len(wire.leaks(INNER)), wire.leaks(INNER)
            kinds = wire.count()
            assert kinds[kind] > 30 and kinds[kind] == kinds["esp"] + kinds["esp-udp"], kinds
