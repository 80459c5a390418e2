# SPDX-License-Identifier: GPL-2.0-or-later
"""strongSwan's charon with kernel-libipsec in a namespace, driven by ../shared/peers/strongswan."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

from tests.netns.lab import Host, LabError, alive, end_process, run, wait_for

SHARED = Path(__file__).resolve().parents[3] / "shared"
SCRIPT = SHARED / "peers" / "strongswan"

KINDS = ("x509", "x509ca", "private", "pubkey")
"""Directories of credentials beside swanctl.conf."""

SETTINGS = """
charon {{
  load = random nonce openssl aes sha1 sha2 hmac kdf gcm ctr curve25519 chapoly pem pkcs1 pkcs8 x509 constraints \
    pubkey gcrypt md5 kernel-libipsec kernel-netlink socket-default vici updown eap-identity eap-mschapv2 eap-tls \
    xauth-generic unity curl
  plugins {{
    vici {{ socket = unix:///run/charon.vici }}
    kernel-libipsec {{ allow_peer_ts = yes }}
  }}
  filelog {{
    log {{
      path = {log}
      default = 1
      flush_line = yes
    }}
  }}
  {more}
}}
"""
"""strongswan.conf; `more` goes into its charon section."""

SECRET = """
secrets {
  ike-lab { secret = "correct horse battery staple" }
}
"""


class StrongSwan:
    """One charon; `swanctl` is swanctl.conf's text, `settings` goes into strongswan.conf's section charon."""

    def __init__(self, host: Host, swanctl: str = "", settings: str = "") -> None:
        self.host = host
        self.dir = host.lab.dir / f"{host.name}-strongswan"
        self.dir.mkdir()
        (self.dir / "strongswan.conf").write_text(SETTINGS.format(log=self.dir / "log", more=settings))
        (self.dir / "swanctl.conf").write_text(swanctl)
        with host.inside():  # kernel-libipsec leaves filtering to others
            Path("/proc/sys/net/ipv4/conf/default/rp_filter").write_text("0")
        self._mark = 0
        self._start()
        host.lab.at_close(self.stop)

    def _start(self) -> None:
        done = run(SCRIPT, "start", self.host.ns, self.dir, timeout=30, check=False)
        if done.returncode:
            said = (self.dir / "out").read_text() if (self.dir / "out").exists() else ""
            raise LabError(f"strongSwan does not start: {done.stderr}{said}{self.log()}")
        self.pid = int((self.dir / "pid").read_text())

    def revive(self) -> None:
        """kill -9, and start anew without any memory."""
        os.kill(self.pid, signal.SIGKILL)
        wait_for("the end of charon", lambda: not alive(self.pid), 5, 0.02)
        self._start()

    def load(self, swanctl: str, files: dict[str, bytes] | None = None) -> None:
        """Replace connections and credentials; the log as `log` tells it begins anew."""
        for name in KINDS:
            shutil.rmtree(self.dir / name, ignore_errors=True)
        for name, data in (files or {}).items():
            path = self.dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)
            path.write_bytes(data)
        (self.dir / "swanctl.conf").write_text(swanctl)
        self._mark = len(self._said())
        self.ctl("--load-all", "--clear", "--file", str(self.dir / "swanctl.conf"))

    def ctl(self, *args: str, check: bool = True, timeout: float = 30) -> str:
        """`swanctl ARGS`; its output."""
        done = run(SCRIPT, "ctl", self.dir, *args, check=False, timeout=timeout)
        if check and done.returncode:
            raise LabError(
                f"swanctl {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
            )
        return done.stdout

    def settings(self, old: str, new: str) -> None:
        """Change strongswan.conf; charon reads it again."""
        path = self.dir / "strongswan.conf"
        text = path.read_text()
        assert old in text, text
        # The file is mounted where charon looks for it: the same inode must get the new text.
        path.write_text(text.replace(old, new))
        self.ctl("--reload-settings")

    def initiate(self, child: str) -> str:
        """Bring a child up and wait for it."""
        return self.ctl("--initiate", "--child", child)

    def sas(self) -> str:
        """`swanctl --list-sas`."""
        return self.ctl("--list-sas")

    def child_spis(self) -> list[tuple[str, str]]:
        """(inbound, outbound) SPI of each installed child SA."""
        text = self.sas()
        return list(
            zip(re.findall(r"\bin  ([0-9a-f]{8})", text), re.findall(r"\bout ([0-9a-f]{8})", text), strict=True)
        )

    def ike_spis(self) -> list[tuple[str, str]]:
        """(initiator, responder) SPI of each established IKE SA."""
        return re.findall(r"ESTABLISHED, IKEv[12], ([0-9a-f]{16})_i\*? ([0-9a-f]{16})_r", self.sas())

    def wait_children(self, count: int = 1, timeout: float = 15) -> None:
        """Until that many child SAs are installed."""
        wait_for(f"{count} child SAs at strongSwan", lambda: len(self.child_spis()) >= count, timeout, 0.1)

    def _said(self) -> list[str]:
        path = self.dir / "log"
        return path.read_text().splitlines() if path.exists() else []

    def log(self) -> str:
        """charon's log since `load`."""
        return "--- charon\n" + "\n".join(self._said()[self._mark :])

    def forget(self) -> None:
        """End every SA without waiting for the peer."""
        if "ESTABLISHED" in (sas := self.sas()) or "CONNECTING" in sas:
            self.ctl("--terminate", "--ike", "lab", "--force", check=False)

    def stop(self) -> None:
        """End charon."""
        if alive(self.pid):
            end_process(self.pid)
