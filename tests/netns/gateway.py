# SPDX-License-Identifier: GPL-2.0-or-later
"""One gateway under test: its configuration directory, its commands, its daemon."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from openswan.base.errors import HostError
from openswan.host import ctlsock
from openswan.wire.whack import encode_request
from tests.netns.lab import Host, LabError, alive, wait_for

IPSEC = Path(sys.executable).with_name("ipsec")
"""The console script of the environment the tests run in."""

PSK = '"correct horse battery staple"'


TABLES = {("eroute",): "eroute", ("spi",): "spi", ("auto", "--status"): "status"}
"""Commands that print what the daemon answers to a verb."""


class Gateway:
    """Our software in a namespace; files live in the lab's directory."""

    def __init__(self, host: Host, conf: str = "", secrets: str = "", resolv: str | None = None) -> None:
        self.host = host
        self.dir = host.lab.dir / host.name
        self.run_dir = self.dir / "run"
        self.run_dir.mkdir(parents=True, mode=0o700)
        for sub in ("cacerts", "certs", "private", "crls", "policies"):
            (self.dir / "ipsec.d" / sub).mkdir(parents=True)
        self.env = {
            **os.environ,
            "IPSEC_CONFS": str(self.dir),
            "IPSEC_RUNDIR": str(self.run_dir),
            "PATH": f"{IPSEC.parent}:{os.environ['PATH']}",
        }
        self._mounts: list[str] = []
        if resolv is not None:
            (self.dir / "resolv.conf").write_text(resolv)
            self._mounts.append(f"mount --bind {self.dir}/resolv.conf $(realpath /etc/resolv.conf)")
        self.configure(conf, secrets)
        host.lab.at_close(self.close)

    def configure(self, conf: str | None = None, secrets: str | None = None) -> None:
        """Write ipsec.conf and ipsec.secrets."""
        if conf is not None:
            text = conf if conf.lstrip().startswith(("version", "config")) else f"version 2.0\nconfig setup\n\n{conf}"
            (self.dir / "ipsec.conf").write_text(text + "\n")
        if secrets is not None:
            path = self.dir / "ipsec.secrets"
            path.touch(mode=0o600)
            path.chmod(0o600)
            path.write_text(secrets + "\n")

    def ipsec(self, *args: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """`ipsec ARGS` on this gateway."""
        return self.host.run(*self.command(*args), check=check, timeout=timeout, env=self.env)

    def ipsec_start(self, *args: str) -> subprocess.Popen[str]:
        """`ipsec ARGS`, not waited for."""
        return self.host.start(*self.command(*args), env=self.env)

    def command(self, *args: str) -> list[str]:
        """The argv of `ipsec ARGS`."""
        if not self._mounts:
            return [str(IPSEC), *args]
        script = " && ".join((*self._mounts, 'exec "$@"'))
        return ["unshare", "-m", "sh", "-c", script, "sh", str(IPSEC), *args]

    def hide(self, path: str) -> None:
        """From now on its commands, and the daemon they start, find a directory empty."""
        self._mounts.append(f"mount -t tmpfs none {path}")

    def json(self, *args: str) -> Any:
        """What a command prints with --json."""
        verb = TABLES.get(args)
        return json.loads(self.ask(verb, json=True) if verb else self.ipsec(*args, "--json").stdout)

    @property
    def pid(self) -> int:
        """The daemon's process id from pluto.pid; 0 without one."""
        try:
            return int((self.run_dir / "pluto.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def start(self) -> float:
        """`ipsec setup start`; the seconds it took."""
        begin = time.monotonic()
        self.ipsec("setup", "start")
        took = time.monotonic() - begin
        if not alive(self.pid):
            raise LabError(f"no daemon after setup start on {self.host.name}\n{self.log()}")
        return took

    def stop(self) -> None:
        """`ipsec setup stop`."""
        self.ipsec("setup", "stop")

    def kill(self) -> None:
        """kill -9 the daemon and wait for its end."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(f"the end of process {pid}", lambda: not alive(pid), 5, 0.005)

    def up(self, conn: str, timeout: float = 20) -> str:
        """`ipsec auto --up`; what it printed. LabError unless it ends with status 0."""
        done = self.ipsec("auto", "--up", conn, check=False, timeout=timeout)
        if done.returncode:
            raise LabError(f"auto --up {conn}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}")
        return done.stdout

    def ask(self, verb: str, *, plain: bool = True, **arguments: Any) -> str:
        """What the daemon answers to this verb of whack's, without a process: who waits asks often."""
        try:
            replies = list(ctlsock.ask(encode_request(verb, **arguments), self.run_dir / "pluto.ctl", 30.0))
        except HostError as error:
            raise LabError(f"{verb} on {self.host.name}: {error}") from None
        return "".join(f"{text}\n" if plain else f"{code:03d} {text}\n" for code, text in replies)

    def status(self) -> str:
        """What `ipsec auto --status` prints."""
        return self.ask("status", plain=False)

    def eroutes(self) -> list[dict[str, Any]]:
        """Rows of `ipsec eroute --json`."""
        return list(self.json("eroute"))

    def tunnels(self) -> int:
        """Eroutes that lead to an SA right now; 0 when the daemon does not answer."""
        try:
            lines = self.ask("eroute").splitlines()
        except LabError:
            return 0
        return sum(1 for line in lines if any(f"=> {kind}" in line for kind in ("tun", "esp", "ah", "comp")))

    def wait_tunnels(self, count: int = 1, timeout: float = 15) -> None:
        """Wait until `count` eroutes lead to SAs."""
        try:
            wait_for(f"{count} tunnels on {self.host.name}", lambda: self.tunnels() >= count, timeout, 0.1)
        except LabError as error:
            raise LabError(f"{error}\n{self.log()}") from None

    def log(self, lines: int = 60) -> str:
        """The end of the daemon's log."""
        text = ""
        for path in sorted(self.run_dir.glob("*.log")):
            text += f"--- {self.host.name} {path.name}\n" + "\n".join(path.read_text().splitlines()[-lines:]) + "\n"
        return text

    def logged(self, text: str, lines: int = 80, within: float = 5.0) -> bool:
        """Does the daemon say so, by now or within so many seconds? A peer may know sooner what an exchange came to."""
        end = time.monotonic() + within
        while text not in self.log(lines) and time.monotonic() < end:
            time.sleep(0.05)
        return text in self.log(lines)

    def new_rsa_key(self) -> str:
        """Have an RSA key of its own in ipsec.secrets, and nothing else; the public one as leftrsasigkey= wants it."""
        secrets = self.dir / "ipsec.secrets"
        secrets.unlink(missing_ok=True)
        self.ipsec("newhostkey", "--output", str(secrets), "--bits", "2192", "--quiet")
        shown = self.ipsec("showhostkey", "--left").stdout.splitlines()
        return next(line.partition("=")[2].strip() for line in shown if "leftrsasigkey=" in line)

    def remove(self) -> None:
        """Delete the files, so that another gateway can be set up in this namespace."""
        shutil.rmtree(self.dir)

    def close(self) -> None:
        """End the daemon at once: all it has set up goes with its namespace."""
        pid = self.pid
        if pid and alive(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
