# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine for the fuzzers: no threads, SAs of many kinds, and both ends of each in one place.

    host(s) ==TUN== [ engine ] ==UDP 4500, "raw" 50== peer      SA n: SPI 0x1000 + n, in and out with the same keys

10.1.0.0/16 and fd01::/16 are at home; SA n leads to 10.(2+n).0.0/16 and fd(02+n)::/16; 10.20 to 10.24 lead to shunts.
Bundles lie between 127.0.0.1 and itself, or ::1: bundle n has SPIs 0x2000 + 4n and following, again in and out.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

from openswan.base.address import Endpoint
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.klips.engine import Klips
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachPass,
    AttachSocket,
    DelEroute,
    Direction,
    Encap,
    GroupSas,
    Mode,
    SetEroute,
)
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
BUNDLE_SPI = 0x2000
TUNNEL, TRANSPORT = Mode.TUNNEL, Mode.TRANSPORT
Member = tuple[IpProtocol, Mode, bool, str]
"""Protocol, mode, ESN, integrity of AH."""
_IPIP: Member = (IpProtocol.IPIP, TRANSPORT, False, "")
_COMP: Member = (IpProtocol.COMP, TRANSPORT, False, "")
_ESP: Member = (IpProtocol.ESP, TRANSPORT, False, "")
_AH: Member = (IpProtocol.AH, TRANSPORT, False, "hmac_sha2_256_128")
BUNDLES: tuple[tuple[Member, ...], ...] = (
    (_AH,),
    ((IpProtocol.AH, TUNNEL, True, "hmac_sha1_96"),),
    ((IpProtocol.AH, TRANSPORT, True, "aes_128_gmac"),),
    (_ESP,),
    (_COMP,),
    ((IpProtocol.COMP, TUNNEL, False, ""),),
    (_COMP, _ESP),
    ((IpProtocol.COMP, TUNNEL, False, ""), _ESP),
    ((IpProtocol.ESP, TUNNEL, True, ""), _AH),
    (_IPIP, _ESP, (IpProtocol.AH, TRANSPORT, True, "aes_xcbc_96")),
    (_COMP, (IpProtocol.ESP, TRANSPORT, True, ""), _AH),
    (_IPIP, _COMP, _ESP, _AH),
    (_IPIP,),
)
"""Innermost first; each exists over IPv4 and, from len(BUNDLES) on, over IPv6."""
IN_UDP = (_COMP, _ESP)
"""One more, over IPv4 in UDP, whose checksums are put right."""
INTEGRITY = {"hmac_sha2_256_128": 32, "hmac_sha1_96": 20, "aes_128_gmac": 20, "aes_xcbc_96": 16}

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
        self.bundle_socks: list[socket.socket] = []
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

        for version, end in ((4, "127.0.0.1"), (6, "::1")):
            for protocol in (IpProtocol.ESP, IpProtocol.AH, IpProtocol.COMP):
                if (version, protocol) != (4, IpProtocol.ESP):
                    sock = _udp(socket.AF_INET if version == 4 else socket.AF_INET6, end)
                    self.bundle_socks.append(sock)
                    at = Endpoint(ip_address(end), 0)
                    self.klips.execute(AttachSocket(at, (sock.fileno(),), 1500, protocol=protocol))
            for n, members in enumerate(BUNDLES, 0 if version == 4 else len(BUNDLES)):
                self._bundle(n, members, end, False)
        self._bundle(2 * len(BUNDLES), IN_UDP, "127.0.0.1", True)

    @staticmethod
    def _flow(n: int) -> FlowKey:
        return FlowKey(ip_network("10.99.0.0/16"), ip_network(f"10.{100 + n}.0.0/16"), 0, 0, 0)

    def _bundle(self, n: int, members: tuple[Member, ...], end: str, in_udp: bool) -> None:
        address = ip_address(end)
        saids = tuple(Said(member[0], BUNDLE_SPI + 4 * n + at, address) for at, member in enumerate(members))
        # The IN SAs first: a group is looked for among those of the other direction before.
        for direction in (Direction.IN, Direction.OUT):
            local, remote = self.local.port, self.remote.port
            for said, (protocol, mode, esn, integ) in zip(saids, members, strict=True):
                outermost = in_udp and said is saids[-1]
                self.klips.execute(
                    AddSa(
                        said,
                        address,
                        direction,
                        {IpProtocol.ESP: "aes_gcm_16", IpProtocol.COMP: "deflate"}.get(protocol, ""),
                        bytes(range(20)) if protocol is IpProtocol.ESP else b"",
                        integ,
                        bytes(range(INTEGRITY.get(integ, 0))),
                        esn,
                        encap=None
                        if not outermost
                        else Encap(local, remote)
                        if direction is Direction.OUT
                        else Encap(remote, local),
                        selectors=((ANY4, ANY4), (ANY6, ANY6)),
                        mode=mode,
                        original=(ip_address("10.1.0.5"), ip_address("10.2.0.7"))
                        if in_udp and mode is TRANSPORT
                        else None,
                    )
                )
            if len(saids) > 1:
                self.klips.execute(GroupSas(saids))
        self.klips.execute(SetEroute(self._flow(n), saids[0]))

    def bundle_flows(self) -> list[tuple[int, bytes, bytes, int, int, int]]:
        """A flow of each bundle, as the engine's tables take it; `hide` ends them."""
        return [(4, bytes([10, 99, 0, 5]), bytes([10, 100 + n, 0, 7]), 17, 1, 2) for n in range(2 * len(BUNDLES) + 1)]

    def hide(self) -> None:
        """No eroute leads to the bundles any more: the other targets know nothing of them."""
        for n in range(2 * len(BUNDLES) + 1):
            self.klips.execute(DelEroute(self._flow(n)))

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
