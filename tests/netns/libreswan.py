# SPDX-License-Identifier: GPL-2.0-or-later
"""libreswan on a stock Debian kernel in an emulated machine, driven by ../shared/peers/kernelpeer.

The guest plays east of a lab of shape `vm`: 192.0.2.2 on the wire, 10.2.0.1/24 behind it. It takes orders on TCP port 7
of its outer address (a shell, one order a connection), which only the lab's own namespace can reach. What arrives on
UDP port 7001 of its inner address goes back to port 7002 of the sender.
"""

from __future__ import annotations

import base64
import fcntl
import os
import socket
import time
from pathlib import Path

from tests.netns.lab import Host, LabError, alive, end_process, run

SHARED = Path(__file__).resolve().parents[3] / "shared"
SCRIPT = SHARED / "peers" / "kernelpeer"

FWMARK = 0x1000

SHELL = r"""
use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE';
my $s = IO::Socket::INET->new(LocalPort => 7, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) {
  if (fork) { close $c; next }
  local $SIG{CHLD} = 'DEFAULT';
  local $/; my $order = <$c>;
  my $said = `( $order ) 2>&1`;
  print $c $said, "\n=", $? >> 8; close $c; exit
}
"""

ECHO = r"""
use IO::Socket::INET;
use Socket;
my $s = IO::Socket::INET->new(LocalAddr => '10.2.0.1', LocalPort => 7001, Proto => 'udp') or die;
while (defined(my $from = $s->recv(my $data, 2000))) {
  $s->send($data, 0, pack_sockaddr_in(7002, (unpack_sockaddr_in($from))[1]));
}
"""

START = """
cp /cfg/ipsec.conf /cfg/ipsec.secrets /etc/; chmod 600 /etc/ipsec.secrets
mkdir -p /var/lib/ipsec/nss /run/pluto /var/log
ipsec initnss > /tmp/initnss 2>&1
ipsec pluto --config /etc/ipsec.conf --logfile /tmp/pluto.log
perl /cfg/shell.pl &
for i in 1 2 3 4 5 6 7 8 9 10; do ipsec whack --status > /dev/null 2>&1 && break; sleep 0.5; done
ipsec whack --listen
for conn in $(sed -n 's/^conn //p' /etc/ipsec.conf); do ipsec auto --add $conn; done
perl /cfg/echo.pl &
"""


def build() -> None:
    """Make the guest's image unless it is there; two processes do not do it at once."""
    with open("/tmp/openswan-kernelpeer.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(SCRIPT, "build", timeout=900)


class Libreswan:
    """The guest, booted, with every conn of `conf` loaded."""

    def __init__(self, host: Host, conf: str, secrets: str, start: str = START, echo: str = ECHO) -> None:
        build()
        self.host = host
        self.dir = host.lab.dir / "libreswan"
        self.dir.mkdir()
        for name, text in (
            ("ipsec.conf", conf), ("ipsec.secrets", secrets), ("shell.pl", SHELL), ("echo.pl", echo), ("start", start)
        ):  # fmt: skip
            (self.dir / name).write_text(text)
        host.lab.at_close(self.stop)
        try:
            run(SCRIPT, "start", host.ns, self.dir, timeout=180)
        except LabError as error:
            raise LabError(f"{error}\n{self.console()}") from None

    def sh(self, order: str, timeout: float = 30, check: bool = True) -> str:
        """Run an order in the guest; what it printed."""
        with self._connected(timeout) as s:
            s.sendall(order.encode())
            s.shutdown(socket.SHUT_WR)
            said = b""
            while piece := s.recv(1 << 16):
                said += piece
        text, _, status = said.decode(errors="replace").rpartition("\n=")
        if check and status != "0":
            raise LabError(f"in the guest: {order}: exit {status}\n{text}\n{self.log()}")
        return text

    def put(self, path: str, data: bytes) -> None:
        """Write a file in the guest."""
        self.sh(f"base64 -d > {path} <<END\n{base64.encodebytes(data).decode()}END\n")

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

    def _connected(self, timeout: float) -> socket.socket:
        end = time.monotonic() + timeout
        while True:
            with self.host.inside():
                s = socket.socket()
            # As our own sockets do: orders go past whatever is routed into ipsec0.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, FWMARK)
            s.settimeout(timeout)
            try:
                s.connect(("192.0.2.2", 7))
                return s
            except ConnectionRefusedError:
                # On a busy machine the guest says that it is up before its shell listens.
                s.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def log(self) -> str:
        """libreswan's log."""
        return "--- libreswan\n" + self.sh("tail -40 /tmp/pluto.log", check=False)

    def console(self) -> str:
        """What the guest printed while booting."""
        path = self.dir / "console"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def stop(self) -> None:
        """Switch the machine off."""
        try:
            pid = int((self.dir / "pid").read_text())
        except (OSError, ValueError):
            return
        if alive(pid):
            end_process(pid)
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
