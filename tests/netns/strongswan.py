# SPDX-License-Identifier: GPL-2.0-or-later
"""strongSwan's charon with kernel-libipsec in a namespace, driven by ../shared/peers/strongswan."""

from __future__ import annotations

import re
from pathlib import Path

from tests.netns.lab import Host, LabError, alive, end_process, run, wait_for

SHARED = Path(__file__).resolve().parents[3] / "shared"
SCRIPT = SHARED / "peers" / "strongswan"

SECRET = """
secrets {
  ike-lab { secret = "correct horse battery staple" }
}
"""


class StrongSwan:
    """One charon; `swanctl` is swanctl.conf's text, files go below its directory (x509/, x509ca/, private/)."""

    def __init__(self, host: Host, swanctl: str, files: dict[str, bytes] | None = None) -> None:
        self.host = host
        self.dir = host.lab.dir / f"{host.name}-strongswan"
        self.dir.mkdir()
        for name, data in (files or {}).items():
            path = self.dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o600)
        (self.dir / "swanctl.conf").write_text(swanctl)
        with host.inside():  # kernel-libipsec leaves filtering to others
            Path("/proc/sys/net/ipv4/conf/default/rp_filter").write_text("0")
        run(SCRIPT, "start", host.ns, self.dir, timeout=30)
        self.pid = int((self.dir / "pid").read_text())
        host.lab.at_close(self.stop)

    def ctl(self, *args: str, check: bool = True, timeout: float = 30) -> str:
        """`swanctl ARGS`; its output."""
        done = run(SCRIPT, "ctl", self.dir, *args, check=False, timeout=timeout)
        if check and done.returncode:
            raise LabError(
                f"swanctl {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
            )
        return done.stdout

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
        return re.findall(r"ESTABLISHED, IKEv2, ([0-9a-f]{16})_i\*? ([0-9a-f]{16})_r", self.sas())

    def wait_children(self, count: int = 1, timeout: float = 15) -> None:
        """Until that many child SAs are installed."""
        wait_for(f"{count} child SAs at strongSwan", lambda: len(self.child_spis()) >= count, timeout, 0.1)

    def log(self, lines: int = 40) -> str:
        """The end of charon's log."""
        path = self.dir / "log"
        return "--- charon\n" + "\n".join(path.read_text().splitlines()[-lines:]) if path.exists() else ""

    def stop(self) -> None:
        """End charon."""
        if alive(self.pid):
            end_process(self.pid)
