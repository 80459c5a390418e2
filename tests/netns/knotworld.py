# SPDX-License-Identifier: GPL-2.0-or-later
"""The DNS of a lab with Knot in NSD's place: it takes signed updates, and signs its zones itself."""

from __future__ import annotations

import base64

import dns.dnssec
import dns.message
import dns.name
import dns.query
import dns.rdatatype

from tests.netns.dnsworld import HEAD, DnsWorld
from tests.netns.lab import Host, wait_for

NAME, SECRET = "hosts.", base64.b64encode(bytes(range(32))).decode()
BIND_KEY = f'key "{NAME}" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'
"""The file of a key as tsig-keygen makes it."""


class KnotWorld(DnsWorld):
    """Whoever has the key may change IPSECKEY, TXT and KEY records of every zone, but nothing of `kept.`."""

    def _zone(self, zone: str) -> None:
        body = HEAD.format(zone=zone, ttl=300, negative=1, server=self.server[1]) + self.zones[zone]
        (self.dir / zone).write_text(body)

    def _authority(self, host: Host) -> None:
        signing = {zone: "on" if zone in self.signed else "off" for zone in self.zones}
        zones = "".join(
            f"  - domain: {zone}\n    file: {self.dir / zone}\n    dnssec-signing: {signing[zone]}\n"
            f"    acl: [{'query' if zone == 'kept' else 'change'}]\n"
            for zone in self.zones
        )
        conf = self.dir / "knot.conf"
        conf.write_text(
            f"""server:
  listen: {self.server[1]}@53
  rundir: {self.dir}
database:
  storage: {self.dir}
key:
  - id: {NAME}
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: change
    key: {NAME}
    action: update
    update-type: [IPSECKEY, TXT, KEY]
  - id: query
    key: {NAME}
    action: transfer
policy:
  - id: one
    single-type-signing: on
template:
  - id: default
    zonefile-sync: -1
    dnssec-policy: one
zone:
{zones}"""
        )
        self.started["knot"] = self._start(host, "knotd", "-c", str(conf))
        wait_for("Knot", lambda: ":53" in host.run("ss", "-Hlun").stdout)
        self.anchors += [self._anchor(host, zone) for zone in self.signed]

    def _anchor(self, host: Host, zone: str) -> str:
        """The DS of a zone's key, once it has signed with it."""
        name, found = dns.name.from_text(zone), []

        def signed() -> bool:
            with host.inside():
                answer = dns.query.tcp(dns.message.make_query(name, "DNSKEY", want_dnssec=True), self.server[1], 2)
            found[:] = [key for rrset in answer.answer if rrset.rdtype == dns.rdatatype.DNSKEY for key in rrset]
            return any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in answer.answer)

        wait_for(f"signatures of {zone}", signed, 10, 0.2)
        return f"{name} IN DS {dns.dnssec.make_ds(name, found[0], 'SHA256')}"
