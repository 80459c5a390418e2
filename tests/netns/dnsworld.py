# SPDX-License-Identifier: GPL-2.0-or-later
"""A DNS of real parts in a lab: NSD with zones signed by ldns on east, Unbound that validates on west.

west (127.0.0.1, 192.0.2.1: Unbound) ===wan=== (192.0.2.2: NSD) east

2.0.192.in-addr.arpa            signed    7: IPSECKEY, TXT and KEY; 8: CNAME into the zone below (RFC 2317);
                                          9: its TXT record was changed after it was signed; 20 has 30 TXT records
0-15.2.0.192.in-addr.arpa       signed    8: TXT
100.51.198.in-addr.arpa         unsigned  7: TXT
example                         signed    old: DNAME to new; gw.new: IPSECKEY
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.crypto.rsakey import encode_public
from tests.netns.lab import Host, Lab, end_process, run, wait_for

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(encode_public(rsa.generate_private_key(65537, 2048).public_key())).decode()
STRINGS = f'"{KEY[:200]}" "{KEY[200:]}"'
"""As a TXT record has to have it."""
HEAD = "$TTL {ttl}\n@ SOA ns.{zone}. root.{zone}. 1 3600 600 86400 {negative}\n@ NS ns.{zone}.\nns A {server}\n"
REVERSE, CLASSLESS, UNSIGNED = "2.0.192.in-addr.arpa", "0-15.2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa"
ZONES = {
    CLASSLESS: f'8 TXT "X-IPsec-Server(10)=192.0.2.8 " {STRINGS}\n',
    REVERSE: f"""
7 IPSECKEY 10 1 2 192.0.2.7 {KEY}
7 IPSECKEY 20 3 2 gw.example. {KEY}
7 TXT "X-IPsec-Server(10)=192.0.2.7 " {STRINGS}
7 KEY 16896 4 1 {KEY}
8 CNAME 8.{CLASSLESS}.
9 TXT "X-IPsec-Server(10)=192.0.2.9 true"
0-15 NS ns.{REVERSE}.
"""
    + "".join(f'20 TXT "{number} {"x" * 200}"\n' for number in range(30)),
    UNSIGNED: f'7 TXT "X-IPsec-Server(10)=198.51.100.7 " {STRINGS}\n',
    "example": f"old DNAME new.example.\ngw.new IPSECKEY 10 0 2 . {KEY}\n",
}
SIGNED = (CLASSLESS, REVERSE, "example")
"""Innermost first: the DS of one goes into the zone around it."""


def program(name: str) -> str:
    """A program of the distribution, unpacked below build/dns or installed."""
    for folder in (ROOT / "build/dns/usr/sbin", ROOT / "build/dns/usr/bin"):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert found is not None, f"{name} is not here: make build/packages-test"
    return found


@dataclass
class DnsWorld:
    """Both servers running; `anchors` are the DS records of the signed zones."""

    lab: Lab
    zones: Mapping[str, str] = field(default_factory=lambda: ZONES)
    signed: tuple[str, ...] = SIGNED
    """Innermost first."""
    server: tuple[str, str] = ("east", "192.0.2.2")
    """Where NSD runs, and its address."""
    resolvers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"west": ("127.0.0.1", "192.0.2.1")})
    """Hosts with an Unbound, and the addresses it listens on."""
    anchors: list[str] = field(default_factory=list)
    started: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    """Unbound by host, and NSD as `nsd`."""

    def __post_init__(self) -> None:
        self.dir = self.lab.dir / "dns"
        self.dir.mkdir()
        for zone in self.zones:
            self._zone(zone)
        self._authority(self.lab[self.server[0]])
        for name, addresses in self.resolvers.items():
            self.started[name] = self._unbound(self.lab[name], addresses)

    def _zone(self, zone: str) -> None:
        path = self.dir / zone
        body = HEAD.format(zone=zone, ttl=300, negative=60, server=self.server[1]) + self.zones[zone]
        body += "".join(line + "\n" for line in self.anchors if line.split()[0].endswith(f".{zone}."))
        path.write_text(body)
        if zone not in self.signed:
            return
        key = run(program("ldns-keygen"), "-a", "ECDSAP256SHA256", "-k", zone, cwd=self.dir).stdout.strip()
        run(program("ldns-signzone"), "-n", "-o", zone, "-f", str(path), str(path), key, cwd=self.dir)
        self.anchors.append(" ".join((self.dir / f"{key}.ds").read_text().split()))
        text = path.read_text()
        assert "RRSIG" in text
        path.write_text(text.replace("192.0.2.9 true", "192.0.2.9 lie!"))

    def _authority(self, host: Host) -> None:
        zones = "".join(f'zone:\n  name: "{zone}"\n  zonefile: "{self.dir / zone}"\n' for zone in self.zones)
        conf = self.dir / "nsd.conf"
        conf.write_text(
            f"""server:
  ip-address: {self.server[1]}
  username: ""
  chroot: ""
  server-count: 1
  zonesdir: "{self.dir}"
  database: ""
  pidfile: ""
  xfrdfile: "{self.dir}/xfrd"
  zonelistfile: "{self.dir}/zones.list"
  xfrdir: "{self.dir}"
  verbosity: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
{zones}"""
        )
        self.started["nsd"] = self._start(host, "nsd", "-d", "-c", str(conf))
        wait_for("NSD", lambda: ":53" in host.run("ss", "-Hlun").stdout)
        for zone in self.zones:
            # It listens before it has read its zones; what a resolver hears of them until then it keeps for seconds.
            wait_for(f"NSD's zone {zone}", lambda zone=zone: self._serves(host, zone))  # type: ignore[misc]

    def _serves(self, host: Host, zone: str) -> bool:
        """Does the authoritative server answer for a zone?"""
        query = dns.message.make_query(zone, "SOA")
        with host.inside(), contextlib.suppress(OSError, dns.exception.DNSException):
            return dns.query.udp(query, self.server[1], timeout=1.0).rcode() == dns.rcode.NOERROR
        return False

    def top_anchors(self) -> list[str]:
        """DS records of the signed zones that are in no other one."""
        zones = [each.split()[0] for each in self.anchors]
        return [each for each, zone in zip(self.anchors, zones, strict=True) if not any(_below(zone, z) for z in zones)]

    def _unbound(self, host: Host, addresses: tuple[str, ...]) -> subprocess.Popen[str]:
        stubs = "".join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: {self.server[1]}\n' for zone in self.zones)
        open_zones = "".join(f'  local-zone: "{zone}" nodefault\n' for zone in self.zones)
        anchors = "".join(f'  trust-anchor: "{each}"\n' for each in self.top_anchors())
        listen = "".join(f"  interface: {each}\n" for each in addresses)
        conf = self.dir / f"unbound-{host.name}.conf"
        conf.write_text(
            f"""server:
{listen}  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "{self.dir}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  module-config: "validator iterator"
{open_zones}{anchors}remote-control:
  control-enable: no
{stubs}"""
        )
        started = self._start(host, "unbound", "-d", "-c", str(conf))
        wait_for("Unbound", lambda: "127.0.0.1:53" in host.run("ss", "-Hlun").stdout)
        return started

    def restart(self, name: str) -> None:
        """Start a host's Unbound again after end(); it has forgotten all."""
        self.started[name] = self._unbound(self.lab[name], self.resolvers[name])

    def end(self, name: str) -> None:
        """End one of the servers."""
        end_process(self.started[name].pid)

    def _start(self, host: Host, name: str, *args: str) -> subprocess.Popen[str]:
        started = host.start(program(name), *args)
        self.lab.at_close(lambda: end_process(started.pid))
        return started


def _below(zone: str, other: str) -> bool:
    return zone != other and zone.endswith(f".{other}")
