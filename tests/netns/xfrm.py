# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock Linux kernel as the peer, keyed by `ip xfrm`, against our gateway, keyed by `ipsec spi` and `ipsec eroute`.

    sunset ----lan---- west (ours) =======wan======= virtual machine: 192.0.2.2, behind it 10.2.0.1

Every case has keys of its own, fresh from the random number generator, on both sides. What arrives on UDP port 7001 or
TCP port 7003 of the guest comes back as it is.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from openswan.cli import eroute, spi, spigrp
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, LabError
from tests.netns.libreswan import Libreswan
from tests.netns.traffic import assert_ping, family, udp_socket

START = """
perl /cfg/shell.pl &
perl /cfg/echo.pl &
sleep 1
"""

ECHO = r"""
use Socket qw(:all);
use IO::Select;
my $all = IO::Select->new;
for my $a ('10.2.0.1', '192.0.2.2', '2001:db8:2::1', '2001:db8::2') {
  my $six = $a =~ /:/;
  my $where = $six ? pack_sockaddr_in6(7001, inet_pton(AF_INET6, $a)) : pack_sockaddr_in(7001, inet_aton($a));
  socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die; bind($s, $where) or die; $all->add($s);
}
$SIG{CHLD} = 'IGNORE';
socket(my $tcp, AF_INET6, SOCK_STREAM, 0) or die;
setsockopt($tcp, SOL_SOCKET, SO_REUSEADDR, 1);
bind($tcp, pack_sockaddr_in6(7003, IN6ADDR_ANY)) or die; listen($tcp, 16) or die; $all->add($tcp);
while (my @ready = $all->can_read) {
  for my $s (@ready) {
    if ($s == $tcp) {
      accept(my $c, $tcp) or next;
      if (fork) { close $c; next }
      while (sysread($c, my $d, 65536)) {
        while (length $d) { my $n = syswrite($c, $d) or exit; substr($d, 0, $n) = '' }
      }
      exit;
    }
    my $from = recv($s, my $d, 65536, 0); send($s, $d, 0, $from) if defined $from;
  }
}
"""

OUTER = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
NETS = {4: ("10.1.0.0/24", "10.2.0.0/24"), 6: ("2001:db8:1::/64", "2001:db8:2::/64")}
EXEMPT = [
    f"ip xfrm policy add src {src} dst {dst} {what} dir {directory} priority 1 action allow"
    for directory, src, dst, what in (
        ("out", "192.0.2.2", "192.0.2.1", "proto tcp sport 7"),
        ("in", "192.0.2.1", "192.0.2.2", "proto tcp dport 7"),
        *((directory, "::/0", "::/0", f"proto 58 type {kind}") for directory in ("out", "in") for kind in (135, 136)),
    )
]
"""Orders to the guest, and neighbour discovery, whatever else is protected."""
HOSTS = {4: ("10.1.0.2", "10.2.0.1"), 6: ("2001:db8:1::2", "2001:db8:2::1")}
SPIS = itertools.count(0x100)


@dataclass(frozen=True)
class Algorithm:
    """One way to protect ESP; octets of the keys, and the words of `ip xfrm` for them."""

    enc: int
    auth: int
    theirs: Callable[[str, str], str]
    """(encryption key, authentication key) as hexadecimal digits -> words."""


INTEGS = {
    "md5": ("hmac(md5)", 16, 96),
    "sha1": ("hmac(sha1)", 20, 96),
    "sha2_256": ("hmac(sha256)", 32, 128),
    "sha2_256_96": ("hmac(sha256)", 32, 96),
    "sha2_384": ("hmac(sha384)", 48, 192),
    "sha2_512": ("hmac(sha512)", 64, 256),
    "aes_xcbc": ("xcbc(aes)", 16, 96),
    "aes_cmac": ("cmac(aes)", 16, 96),
}
"""Name here: the kernel's, octets of key, bits of ICV."""
CIPHERS = {
    "aes128": ("cbc(aes)", 16),
    "aes192": ("cbc(aes)", 24),
    "aes256": ("cbc(aes)", 32),
    "3des": ("cbc(des3_ede)", 24),
    "null": ("ecb(cipher_null)", 0),
    "aes_ctr128": ("rfc3686(ctr(aes))", 20),
    "aes_ctr192": ("rfc3686(ctr(aes))", 28),
    "aes_ctr256": ("rfc3686(ctr(aes))", 36),
}
AEADS = {
    **{f"aes_gcm_{icv}": ("rfc4106(gcm(aes))", 4, icv * 8) for icv in (8, 12, 16)},
    **{f"aes_ccm_{icv}": ("rfc4309(ccm(aes))", 3, icv * 8) for icv in (8, 12, 16)},
    "null_auth_aes_gmac": ("rfc4543(gcm(aes))", 4, 128),
}
"""Name here: the kernel's, octets of salt, bits of ICV; each with three key sizes."""


def _combined(name: str, size: int, bits: int) -> Algorithm:
    return Algorithm(size, 0, lambda enc, auth: f"aead '{name}' 0x{enc} {bits}")


def _separate(cipher: str, enc: int, integ: str) -> Algorithm:
    kernel, auth, bits = INTEGS[integ]

    def words(e: str, a: str) -> str:
        return f"enc '{cipher}' {'0x' + e if e else chr(39) * 2} auth-trunc '{kernel}' 0x{a} {bits}"

    return Algorithm(enc, auth, words)


def algorithms() -> dict[str, Algorithm]:
    """Every ESP algorithm both sides have, by the name `ipsec spi --esp` takes."""
    found = {}
    for cipher, (name, octets) in CIPHERS.items():
        for integ in INTEGS:
            found[f"{cipher}-{integ}"] = _separate(name, octets, integ)
    for aead, (name, salt, bits) in AEADS.items():
        for size in (128, 192, 256):
            found[f"{aead}-{size}"] = _combined(name, size // 8 + salt, bits)
    found["chacha20_poly1305"] = _combined("rfc7539esp(chacha20,poly1305)", 36, 128)
    return found


ALGORITHMS = algorithms()


@dataclass(frozen=True)
class Case:
    """SAs of both directions: algorithms, families, sequence numbers, and what is put into what."""

    esp: str
    inside: int = 4
    outside: int = 4
    esn: bool = False
    window: int = 64
    kind: str = "esp"
    """Protocols joined by +, the innermost first: esp, ah, comp, esp+ah, comp+esp, comp+esp+ah."""
    tunnel: bool = True
    ah: str = "sha2_256"
    port: int = 0
    """Only UDP with this port on the guest's side; 0 is everything."""

    def __str__(self) -> str:
        name = self.kind.replace("esp", self.esp).replace("ah", f"ah.{self.ah}")
        shape = f"{self.inside}in{self.outside}" if self.tunnel else f"transport{self.outside}"
        return f"{name}-{shape}{'-esn' if self.esn else ''}-w{self.window}"

    @property
    def layers(self) -> tuple[tuple[str, str], ...]:
        """(protocol, mode), innermost first: only that one can be the tunnel."""
        protocols = self.kind.split("+")
        return tuple((each, "tunnel" if self.tunnel and at == 0 else "transport") for at, each in enumerate(protocols))


class KernelPeer:
    """The lab, our gateway and the guest; one boot for all cases."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.guest = Libreswan(lab.west, "", "", START, ECHO)
        self.west = Gateway(lab.west)
        self.west.start()
        for _, far in NETS.values():
            lab.west.ip("route", "add", far, "dev", "ipsec0")

    def order(self, command: Callable[[list[str]], int], *words: str) -> None:
        """One of our table commands, within this process: hundreds of interpreters would take minutes to start."""
        said = io.StringIO()
        old = os.environ.get("IPSEC_RUNDIR")
        os.environ["IPSEC_RUNDIR"] = str(self.west.run_dir)
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                status = command(list(words))
        finally:
            if old is None:
                del os.environ["IPSEC_RUNDIR"]
            else:
                os.environ["IPSEC_RUNDIR"] = old
        if status:
            raise LabError(f"{' '.join(words)}: exit {status}\n{said.getvalue()}")

    def install(self, case: Case) -> None:
        """Fresh keys for both directions on both sides; what was there goes."""
        near, far = OUTER[case.outside]
        mine, theirs = NETS[case.inside] if case.tunnel else OUTER[case.outside]
        self.order(eroute.main, "--clear")
        self.order(spi.main, "--clear")
        self.route(None if case.tunnel else case.outside)
        script = ["ip xfrm policy flush", "ip xfrm state flush", *EXEMPT]
        for src, dst in ((near, far), (far, near)):
            inward = dst == near
            saids = []
            for protocol, mode in case.layers:
                number = 0x100 + next(SPIS) % 0xF00
                saids.append(f"{protocol}0x{number:x}@{dst}" if case.outside == 4 else f"{protocol}:{number:x}@{dst}")
                words, kernel = self.algorithm(case, protocol)
                self.order(spi.main, "--said", saids[-1], "--src", src, "--mode", mode, *words)
                script.append(
                    f"ip xfrm state add src {src} dst {dst} proto {protocol} spi {number} reqid 1 mode {mode} {kernel}"
                )
            if len(saids) > 1:
                self.order(spigrp.main, "--said", *saids)
            a, b = (theirs, mine) if inward else (mine, theirs)
            only = ["--transport-proto", "udp", f"--{'src' if inward else 'dst'}-port", str(case.port)]
            flow = ["--src", a, "--dst", b, *(only if case.port else [])]
            self.order(eroute.main, "--addin" if inward else "--add", *flow, "--said", saids[0])
        for directory, src, dst, a, b in (("out", theirs, mine, far, near), ("in", mine, theirs, near, far)):
            templates = " ".join(
                f"tmpl src {a} dst {b} proto {protocol} reqid 1 mode {mode}"
                + (" level use" if protocol == "comp" and directory == "in" else "")
                for protocol, mode in case.layers
            )
            only = f"proto udp {'sport' if directory == 'out' else 'dport'} {case.port}" if case.port else ""
            script.append(f"ip xfrm policy add src {src} dst {dst} {only} dir {directory} priority 100 {templates}")
        self.guest.sh("set -e\n" + "\n".join(script))

    def route(self, version: int | None) -> None:
        """Transport mode: the guest itself is reached through ipsec0, by everything but ESP and orders."""
        for each, (near, far) in OUTER.items():
            if each == version:
                self.lab.west.ip("route", "replace", far, "dev", "ipsec0", "src", near, "table", "50")
            else:
                self.lab.west.ip(f"-{each}", "route", "del", far, "table", "50", check=False)

    @staticmethod
    def algorithm(case: Case, protocol: str) -> tuple[list[str], str]:
        """Options of `ipsec spi` and words of `ip xfrm state` with fresh keys."""
        if protocol == "comp":
            return ["--comp", "deflate"], "flag af-unspec comp deflate"
        options = ["--fresh-keys", "--replay_window", str(case.window), *(["--esn"] if case.esn else [])]
        flags = f"replay-window {case.window} flag af-unspec{' flag esn' if case.esn else ''}"
        if protocol == "ah":
            name, octets, bits = INTEGS[case.ah]
            key = os.urandom(octets).hex()
            # Without align4 this kernel pads IPv4 AH to eight octets, which RFC 4302 3.3.3.2.1 asks of IPv6 alone.
            flags += " flag align4" if case.outside == 4 else ""
            return ["--ah", case.ah, "--authkey", f"0x{key}", *options], f"{flags} auth-trunc '{name}' 0x{key} {bits}"
        algorithm = ALGORITHMS[case.esp]
        enc, auth = os.urandom(algorithm.enc).hex(), os.urandom(algorithm.auth).hex()
        keys = [*(["--enckey", f"0x{enc}"] if enc else []), *(["--authkey", f"0x{auth}"] if auth else [])]
        return ["--esp", case.esp, *keys, *options], f"{flags} {algorithm.theirs(enc, auth)}"

    def prove(self, case: Case, sizes: tuple[int, ...] = (1, 1000, 3000), stream: int = 20_000) -> None:
        """Pings, datagrams and a TCP stream there and back, octet for octet; and pings the guest begins."""
        host = self.lab.sunset if case.tunnel else self.lab.west
        here, there = HOSTS[case.inside] if case.tunnel else OUTER[case.outside]
        # What does not shrink IPComp leaves as it is, in clear when nothing else protects it (RFC 3173 2.2).
        alone = case.kind == "comp" and not case.tunnel
        assert_ping(host, there, 2, size=1000 if alone else 56, wait=4)
        # In transport mode a host's datagrams come to ipsec0 in fragments, and leave whole, in outer ones.
        for size in (600, 1200) if alone else sizes if case.tunnel else (*sizes, 1472, 20_000):
            assert self.echoed(host, here, there, b"deflate " * 75 if alone else os.urandom(size), size), (
                f"{case}: UDP of {size} octets"
            )
        if not alone:
            assert self.streamed(host, there, os.urandom(stream)), f"{case}: TCP"
        if "comp" in case.kind:
            assert self.streamed(host, there, os.urandom(8) + b"deflate " * (stream // 8)), f"{case}: TCP that shrinks"
        # Without -w ping(8) waits two round trips for the last answer, which a busy machine exceeds.
        said = self.guest.sh(f"ping -n -c 2 -i 0.05 -w 6 -s 900 -I {there} {here}", check=False)
        found = re.search(r"(\d+) received", said)
        assert found and int(found[1]) >= 2, f"{case}: {said}"

    def echoed(self, host: Host, here: str, there: str, content: bytes, size: int) -> bool:
        """A datagram that may be fragmented, sent until it comes back or four times."""
        payload = (content * (size // len(content) + 1))[:size]
        with udp_socket(host, here) as s:
            s.settimeout(1.5)
            if family(here) == socket.AF_INET:
                s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, DONT
            for _ in range(4):
                s.sendto(payload, (there, 7001))
                try:
                    if s.recv(65536) == payload:
                        return True
                except TimeoutError:
                    continue
        return False

    def streamed(self, host: Host, there: str, data: bytes) -> bool:
        """Octets over TCP and back."""
        with host.inside():
            s = socket.socket(family(there), socket.SOCK_STREAM)
        with s:
            s.settimeout(10)
            s.connect((there, 7003))
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            back = b""
            while len(back) < len(data) and (piece := s.recv(1 << 16)):
                back += piece
        return back == data

    def state(self) -> str:
        """Both sides' SAs, for a failure's story; keys of the guest are left out."""
        kernel = [
            line for line in self.guest.sh("ip -s xfrm state; cat /proc/net/xfrm_stat", check=False).splitlines()
            if not any(word in line for word in ("auth", "enc ", "aead")) and not line.endswith(" 0")
        ]  # fmt: skip
        drops = self.west.json("whack", "--counters")["engine"]
        return "\n".join([self.west.ipsec("spi").stdout, str({k: v for k, v in drops.items() if v}), *kernel])


FAMILIES = ((4, 4), (6, 4), (4, 6), (6, 6))
"""(inside, outside)"""


def sample() -> Iterator[Case]:
    """Each cipher and each integrity algorithm once, families, sequence numbers and windows taking turns."""
    turns = itertools.cycle(FAMILIES)
    options = itertools.cycle(((False, 64), (True, 64), (False, 32), (True, 2048), (False, 0)))
    pairs = [f"aes128-{integ}" for integ in INTEGS]
    pairs += [f"{cipher}-sha2_256" for cipher in CIPHERS if cipher != "aes128"]
    pairs += [f"{aead}-{size}" for aead in AEADS for size in ((128, 256) if aead == "aes_gcm_16" else (256,))]
    for esp in (*pairs, "chacha20_poly1305"):
        (inside, outside), (esn, window) = next(turns), next(options)
        yield Case(esp, inside, outside, esn, window)


KINDS = ("esp", "ah", "comp", "esp+ah", "comp+esp", "comp+esp+ah")


def bundles() -> Iterator[Case]:
    """Transport mode, AH, IPComp and bundles: each kind in each mode, families and AH's algorithms taking turns."""
    turns = itertools.cycle(FAMILIES)
    hashes = itertools.cycle(INTEGS)
    for kind in KINDS:
        for tunnel in (True, False):
            if (kind, tunnel) == ("esp", True):
                continue
            for esn in (False, True) if kind in ("ah", "esp") else (False,):
                inside, outside = next(turns)
                yield Case(
                    "aes128-sha2_256", inside if tunnel else outside, outside, esn, 64, kind, tunnel, next(hashes)
                )


def everything() -> Iterator[Case]:
    """The full cross product of algorithms, families, sequence numbers and windows; then kinds and modes."""
    for esp in ALGORITHMS:
        for inside, outside in FAMILIES:
            for esn, window in ((False, 64), (True, 64), (True, 2048)):
                yield Case(esp, inside, outside, esn, window)
    for kind in KINDS:
        for inside, outside in FAMILIES:
            for tunnel in (True, False):
                if (tunnel and kind == "esp") or (not tunnel and inside != outside):
                    continue
                for ah in INTEGS if "ah" in kind else ("sha2_256",):
                    for esn in (False, True) if kind != "comp" else (False,):
                        yield Case("aes256-sha2_512", inside, outside, esn, 64, kind, tunnel, ah)
    for esp in ALGORITHMS:
        for outside in (4, 6):
            yield Case(esp, outside, outside, False, 64, "esp", False)
