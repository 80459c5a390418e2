# SPDX-License-Identifier: GPL-2.0-or-later
"""libreswan on a stock Debian kernel in an emulated machine.

The guest plays east of a lab of shape `vm`: 192.0.2.2 on the wire, 10.2.0.1/24 behind it. What arrives on UDP port 7001
of its inner address goes back to port 7002 of the sender.
"""

from __future__ import annotations

from tests.netns.guest import Guest
from tests.netns.lab import Host

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


class Libreswan(Guest):
    """The guest, booted, with every conn of `conf` loaded."""

    def __init__(self, host: Host, conf: str, secrets: str, start: str = START, echo: str = ECHO) -> None:
        files = {"ipsec.conf": conf, "ipsec.secrets": secrets, "echo.pl": echo, "start": start}
        super().__init__(host, host.lab.dir / "libreswan", files)

    def add(self, name: str, text: str) -> None:
        """Load a conn: `text` is all that ipsec.conf holds afterwards."""
        self.put("/etc/ipsec.conf", f"config setup\n    uniqueids=yes\n\n{text}".encode())
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

    def states(self) -> list[str]:
        """Lines of `ipsec whack --showstates` that speak of an SA."""
        return [line for line in self.sh("ipsec whack --showstates").splitlines() if "STATE_" in line]

    def log(self) -> str:
        """libreswan's log."""
        return "--- libreswan\n" + self.sh("tail -40 /tmp/pluto.log", check=False)
