# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock Debian kernel in an emulated machine, driven by ../shared/peers/kernelpeer.

The guest stands at the other end of the wire of a lab of shape `vm`: 192.0.2.2, 10.2.0.1/24 behind it. It takes orders
on TCP port 7 of its outer address (a shell, one order a connection), which only the lab's own namespace can reach.
"""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
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


QEMU = r"""#!/bin/sh
for word; do
  shift
  case $last in
  -append) word="$word no_timer_check mitigations=off" ;;
  -device) word=$word,romfile= ;;
  esac
  set -- "$@" "$word"
  last=$word
done
exec %s "$@"
"""
"""Stands before the emulator. On a busy machine the kernel takes an interrupt that is late for one that never comes and
panics; a processor that is emulated needs no mitigations; the network card's ROM has nothing to offer but a pause."""


def build() -> None:
    """Make the guest's image unless it is there; two processes do not do it at once."""
    with open("/tmp/openswan-kernelpeer.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(SCRIPT, "build", timeout=900)


class Guest:
    """The machine, booted: `start` has run in it, which has to begin the shell of `/cfg/shell.pl`."""

    def __init__(self, host: Host, directory: Path, files: dict[str, str], cache: Path | None = None) -> None:
        """`files` are what the guest finds below /cfg, beside what lies in `directory` already."""
        build()
        self.host = host
        self.dir = directory
        self.dir.mkdir(exist_ok=True)
        for name, text in {"shell.pl": SHELL, **files}.items():
            (self.dir / name).write_text(text)
        host.lab.at_close(self.stop)
        emulator = host.lab.dir / "bin" / "qemu-system-x86_64"
        emulator.parent.mkdir(exist_ok=True)
        emulator.write_text(QEMU % shutil.which(emulator.name))
        emulator.chmod(0o755)
        env = {**os.environ, "PATH": f"{emulator.parent}:{os.environ['PATH']}"}
        if cache:
            env["PEER_CACHE"] = str(cache)
        try:
            run(SCRIPT, "start", host.ns, self.dir, timeout=180, env=env)
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
        """What the daemon in the guest has to say."""
        return ""

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
