# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways with closed groups for themselves and for a host behind each, and all that can happen to them.

sunset ---lan--- west ===wan=== [switch] ===wan=== east ---lan--- sunrise      keys from a DNS on each gateway
10.1.0.2            192.0.2.1             192.0.2.2             10.2.0.2

Four flows of datagrams never end. Nothing of them may be seen on the switch, whatever is killed, flushed or flapped,
and each is back soon after the cause is gone.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.netns.gateway import Gateway
from tests.netns.keys import pem
from tests.netns.lab import Host, Lab, alive, wait_for
from tests.netns.lyingdns import LyingDns, ipseckey
from tests.netns.mesh import MARK, PORT, Witness

KEYS = {"west": ec.generate_private_key(ec.SECP256R1()), "east": ec.generate_private_key(ec.SECP256R1())}
WAN = {"west": "192.0.2.1", "east": "192.0.2.2"}
LAN = {"west": ("sunset", "10.1.0"), "east": ("sunrise", "10.2.0")}
RECORDS = {WAN[name]: ipseckey(key) for name, key in KEYS.items()}
RECORDS |= {f"{net}.2": ipseckey(KEYS[name], WAN[name]) for name, (_, net) in LAN.items()}
FLOWS = (("west", "east"), ("east", "west"), ("sunset", "sunrise"), ("sunrise", "sunset"))
ADDRESSES = {**WAN, "sunset": "10.1.0.2", "sunrise": "10.2.0.2"}
RHYTHM = 0.05
"""Seconds between two datagrams of a flow."""
OTHER = {"west": "east", "east": "west"}


class Flow:
    """Datagrams from one host to another, for ever."""

    def __init__(self, lab: Lab, source: str, sink: str) -> None:
        self.name = f"{source} > {sink}"
        self.heard = 0.0
        """When the newest datagram that has arrived was sent."""
        self.errors: Counter[str] = Counter()
        self._to = (ADDRESSES[sink], PORT)
        self._out, self._in = (self._socket(lab[name], ADDRESSES[name], to) for name, to in ((source, 0), (sink, PORT)))
        self._in.settimeout(0.2)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._hear)]
        for thread in self._threads:
            thread.start()
        lab.at_close(self.close)

    @staticmethod
    def _socket(host: Host, address: str, port: int) -> socket.socket:
        with host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, port))
        return s

    def _send(self) -> None:
        self._out.setblocking(False)
        while not self._stop.wait(RHYTHM):
            try:
                self._out.sendto(MARK + struct.pack("!d", time.monotonic()), self._to)
            except OSError as why:
                self.errors[why.strerror or str(why)] += 1

    def _hear(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                data = self._in.recv(256)
                self.heard = max(self.heard, struct.unpack_from("!d", data, len(MARK))[0])

    def close(self) -> None:
        """Be silent."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2)
        self._out.close()
        self._in.close()


class Unrest:
    """Both gateways up and talking; `disturb` does one thing to them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.hosts["switch"] = switch = Host(lab, "switch")
        switch.sysctl(ipv6__conf__default__disable_ipv6=1)
        switch.ip("link", "add", "name", "sw0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        switch.ip("link", "set", "sw0", "up")
        for name in WAN:
            self._place(name)
        for name in WAN:
            self._lan_route(name)
        self.witness = Witness(switch)
        lab.at_close(self.witness.close)
        self.dns = {name: self._resolver(name) for name in WAN}
        self.gateways = {name: self._gateway(name) for name in WAN}
        for gateway in self.gateways.values():
            gateway.start()
        self.flows = [Flow(lab, *ends) for ends in FLOWS]
        self.causes: dict[str, Callable[[str, random.Random], None]] = {
            "kill": self._kill,
            "reboot": self._reboot,
            "flap": self._flap,
            "flush of nft": self._flush_nft,
            "flush of iptables": self._flush_iptables,
            "table deleted": self._delete_table,
            "resolver dead": self._resolver_dead,
            "resolv.conf rewritten": self._resolver_reloaded,
            "restart": lambda name, _: self.gateways[name].ipsec("setup", "restart") and None,
            "files read again": self._reread,
        }

    # -- set up -------------------------------------------------------------------------------------------------------

    def _place(self, name: str) -> None:
        lab, (inside, net) = self.lab, LAN[name]
        for each in (name, inside):
            lab.hosts[each] = host = Host(lab, each)
            host.sysctl(ipv6__conf__default__disable_ipv6=1, ipv6__conf__all__disable_ipv6=1)
        lab.wire(name, "wan", "switch", name)
        lab["switch"].ip("link", "set", name, "master", "sw0", "up")
        lab.wire(name, "lan", inside, "lan")
        lab.address(name, "wan", f"{WAN[name]}/24")
        lab.address(name, "lan", f"{net}.1/24")
        lab.address(inside, "lan", f"{net}.2/24")
        lab[inside].ip("route", "add", "default", "via", f"{net}.1")
        lab.make_router(name)

    def _lan_route(self, name: str) -> None:
        """Also what an administrator does when the line is back."""
        via = WAN[OTHER[name]]
        for net in ("default", f"{LAN[OTHER[name]][1]}.0/24"):
            self.lab[name].ip("route", "replace", net, "via", via)

    def _resolver(self, name: str) -> LyingDns:
        return LyingDns(self.lab[name], RECORDS.get)

    def _gateway(self, name: str) -> Gateway:
        _, net = LAN[name]
        groups = {"private": ("", "192.0.2.0/24\n"), "lan": (f"\tleftsubnet={net}.0/24\n", "10.0.0.0/8\n")}
        text = "".join(
            f"conn {group}\n\tleft=%defaultroute\n\tright=%opportunisticgroup\n{more}\tauthby=rsasig,ecdsa,eddsa\n"
            "\tfailureshunt=drop\n\tauto=route\n\n"
            for group, (more, _) in groups.items()
        )
        gateway = Gateway(self.lab[name], text, f": ECDSA {name}.pem\n", resolv="nameserver 127.0.0.1\n")
        private = gateway.dir / f"ipsec.d/private/{name}.pem"
        private.touch(mode=0o600)
        private.write_bytes(pem(KEYS[name]))
        for group, (_, nets) in groups.items():
            (gateway.dir / "ipsec.d/policies" / group).write_text(nets)
        return gateway

    # -- what can happen ----------------------------------------------------------------------------------------------

    def disturb(self, cause: str, name: str, dice: random.Random) -> None:
        """Do it, and return when the cause is gone."""
        self.causes[cause](name, dice)

    def _kill(self, name: str, dice: random.Random) -> None:
        self.gateways[name].kill()
        time.sleep(dice.uniform(0.0, 2.0))
        self.gateways[name].start()

    def _reboot(self, name: str, dice: random.Random) -> None:
        """Without a word to anybody; nothing of it is left but its files, and the guard comes before the network."""
        host, gateway = self.lab[name], self.gateways[name]
        host.ip("link", "set", "wan", "down")
        for pid in host.pids():
            with contextlib.suppress(OSError):
                if b"openswan" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        wait_for("the end of all", lambda: not alive(gateway.pid), 5, 0.01)
        self._wipe(host)
        shutil.rmtree(gateway.run_dir)
        gateway.run_dir.mkdir(mode=0o700)
        time.sleep(dice.uniform(0.0, 1.0))
        gateway.ipsec("setup", "guard")
        self._line_up(name)
        gateway.start()

    @staticmethod
    def _wipe(host: Host) -> None:
        host.run("nft", "flush", "ruleset", check=False)
        for line in host.ip("-o", "link").splitlines():
            device = line.split(":")[1].strip().partition("@")[0]
            if device.startswith("ipsec"):
                host.ip("link", "del", device, check=False)
        for line in host.ip("rule").splitlines():
            preference, _, rest = line.partition(":")
            if preference not in ("0", "32766", "32767"):
                host.ip("route", "flush", "table", rest.split()[-1], check=False)
                host.ip("rule", "del", "pref", preference, check=False)

    def _line_up(self, name: str) -> None:
        self.lab[name].ip("link", "set", "wan", "up")
        self._lan_route(name)

    def _flap(self, name: str, dice: random.Random) -> None:
        self.lab[name].ip("link", "set", "wan", "down")
        time.sleep(dice.uniform(0.1, 3.0))
        self._line_up(name)

    def _flush_nft(self, name: str, dice: random.Random) -> None:
        self.lab[name].run("nft", "flush", "ruleset", check=False)

    def _flush_iptables(self, name: str, dice: random.Random) -> None:
        for table in ("filter", "mangle", "nat", "raw"):
            for what in ("-F", "-X"):
                self.lab[name].run("iptables", "-t", table, what, check=False)

    def _delete_table(self, name: str, dice: random.Random) -> None:
        for line in self.lab[name].run("nft", "list", "tables").stdout.splitlines():
            self.lab[name].run("nft", "delete", *line.split(), check=False)

    def _resolver_dead(self, name: str, dice: random.Random) -> None:
        self.dns[name].close()
        time.sleep(dice.uniform(0.5, 4.0))
        self.dns[name] = self._resolver(name)

    def _resolver_reloaded(self, name: str, dice: random.Random) -> None:
        (self.gateways[name].dir / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1\n")
        self.dns[name].close()
        self.dns[name] = self._resolver(name)

    def _reread(self, name: str, dice: random.Random) -> None:
        for what in ("--rereadsecrets", "--rereadgroups"):
            self.gateways[name].ipsec("auto", what)

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def back(self, patience: float) -> float:
        """Wait until each flow has delivered what was sent from now on; the seconds that took. Or AssertionError."""
        begun = time.monotonic()
        while silent := [flow.name for flow in self.flows if flow.heard <= begun]:
            if time.monotonic() > begun + patience:
                raise AssertionError(f"silent for {patience:g} s: {silent}\n{self.logs()}")
            time.sleep(0.01)
        return time.monotonic() - begun

    def sound(self) -> None:
        """No plaintext, nobody surprised."""
        assert not self.witness.bad, "\n".join(self.witness.bad)
        for gateway in self.gateways.values():
            assert alive(gateway.pid), gateway.log()
            log = gateway.log(100_000)
            assert "EXPECTATION FAILED" not in log and "Traceback" not in log, log[-4000:]

    def logs(self) -> str:
        """The ends of both."""
        return "".join(gateway.log(60) for gateway in self.gateways.values())
