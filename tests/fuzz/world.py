# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine for the fuzzers: no threads, SAs of many kinds, and both ends of each in one place.

    host(s) ==TUN== [ engine ] ==UDP 4500, "raw" 50== peer      SA n: SPI 0x1000 + n, in and out with the same keys

10.1.0.0/16 and fd01::/16 are at home; SA n leads to 10.(2+n).0.0/16 and fd(02+n)::/16; 10.20 to 10.24 lead to shunts.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

from openswan.base.address import Endpoint
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.klips.engine import Klips
from openswan.plane.commands import AddSa, AttachDevice, AttachPass, AttachSocket, Direction, Encap, SetEroute
from openswan.policy.selector import FlowKey, Selector

FIRST_SPI = 0x1000
KINDS: tuple[tuple[str, bytes, str, bytes, bool], ...] = (
    ("aes_gcm_16", bytes(range(20)), "", b"", False),
    ("aes_gcm_16", bytes(range(36)), "", b"", True),
    ("chacha20_poly1305", bytes(range(36)), "", b"", False),
    ("aes_cbc", bytes(range(16)), "hmac_sha2_256_128", bytes(range(32)), False),
    ("aes_cbc", bytes(range(32)), "hmac_sha1_96", bytes(range(20)), True),
    ("null", b"", "hmac_sha2_512_256", bytes(range(64)), False),
    ("aes_ctr", bytes(range(20)), "aes_xcbc_96", bytes(range(16)), False),
    ("aes_ctr", bytes(range(36)), "hmac_sha2_256_96", bytes(range(32)), True),
    ("aes_ccm_8", bytes(range(19)), "", b"", False),
    ("aes_ccm_16", bytes(range(35)), "", b"", True),
    ("aes_gcm_8", bytes(range(28)), "", b"", True),
    ("null_auth_aes_gmac", bytes(range(20)), "", b"", False),
    ("3des_cbc", bytes(range(1, 25)), "hmac_md5_96", bytes(range(16)), True),
    ("aes_cbc", bytes(range(24)), "aes_cmac_96", bytes(range(16)), True),
)
"""Cipher, key, integrity, key, ESN. The second SA has narrow selectors, all others any."""
SHUNTS = (Shunt.PASS, Shunt.DROP, Shunt.REJECT, Shunt.TRAP, Shunt.HOLD)
NARROW = 1

ANY4, ANY6 = Selector.of(ip_network("0.0.0.0/0")), Selector.of(ip_network("::/0"))


def _udp(family: int, address: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((address, 0))
    return sock


class World:
    """The engine and the far ends of its descriptors."""

    def __init__(self, provider: str = "auto") -> None:
        self.klips = Klips(provider, 1)
        self.hosts = []
        for name in ("ipsec0", "ipsec1"):
            host, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for each in (host, inside):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
            self.klips.execute(AttachDevice(name, "lo", (inside.detach(),), 1500))
            self.hosts.append(host)
        # The first takes super-packets, the second takes none.
        self.klips._engine.set_offload(0, True, True)
        self.sock, self.peer = _udp(socket.AF_INET, "127.0.0.1"), _udp(socket.AF_INET, "127.0.0.1")
        self.raw, self.sock6 = _udp(socket.AF_INET, "127.0.0.1"), _udp(socket.AF_INET6, "::1")
        self.peer6 = _udp(socket.AF_INET6, "::1")
        self.local, self.remote = (
            Endpoint(ip_address(s.getsockname()[0]), s.getsockname()[1]) for s in (self.sock, self.peer)
        )
        self.raw_local = Endpoint(ip_address("127.0.0.1"), self.raw.getsockname()[1])
        self.local6 = Endpoint(ip_address("::1"), self.sock6.getsockname()[1])
        self.klips.execute(AttachSocket(self.local, (self.sock.fileno(),), 1500))
        # A socket of port 0 counts as raw: what arrives starts with an IP header, here one the fuzzer wrote.
        self.klips.execute(AttachSocket(Endpoint(ip_address("127.0.0.1"), 0), (self.raw.fileno(),), 1500))
        self.klips.execute(AttachSocket(self.local6, (self.sock6.fileno(),), 1500))
        # What %pass sends goes nowhere: this socket refuses every address.
        self.nowhere = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for version in (4, 6):
            self.klips.execute(AttachPass(version, self.nowhere[0].fileno()))
        for n in range(len(KINDS)):
            self._sa(n)
        for n, shunt in enumerate(SHUNTS):
            for key in self._keys(20 + n):
                self.klips.execute(SetEroute(key, shunt))

    @staticmethod
    def _keys(n: int) -> tuple[FlowKey, FlowKey]:
        return (
            FlowKey(ip_network("10.1.0.0/16"), ip_network(f"10.{n}.0.0/16"), 0, 0, 0),
            FlowKey(ip_network("fd01::/16"), ip_network(f"fd{n:02}::/16"), 0, 0, 0),
        )

    def _sa(self, n: int) -> None:
        cipher, key, integ, auth, esn = KINDS[n]
        said = Said(IpProtocol.ESP, FIRST_SPI + n, self.remote.address)
        pairs: tuple[tuple[Selector, Selector], ...] = ((ANY4, ANY4), (ANY6, ANY6))
        if n == NARROW:
            here, there = ip_network("10.1.0.0/16"), ip_network("10.3.0.0/16")
            here6, there6 = ip_network("fd01::/16"), ip_network("fd03::/16")
            pairs = (
                (Selector(there[0], there[-1], 17, 1000, 2000), Selector.of(here)),
                (Selector.of(there6), Selector.of(here6)),
            )
        for direction in Direction:
            out = direction is Direction.OUT
            local, remote = self.local.port, self.remote.port
            self.klips.execute(
                AddSa(
                    said,
                    self.remote.address,
                    direction,
                    cipher,
                    key,
                    integ,
                    auth,
                    esn,
                    encap=Encap(local, remote) if out else Encap(remote, local),
                    selectors=pairs,
                )
            )
        for flow in self._keys(2 + n):
            self.klips.execute(SetEroute(flow, said))

    def worker(self) -> object:
        """The worker the harness drives, as a capsule."""
        return self.klips._engine.worker(1)
