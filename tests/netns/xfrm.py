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
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from openswan.cli import eroute, spi
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
    """One SA pair: algorithm, families, sequence numbers."""

    esp: str
    inside: int = 4
    outside: int = 4
    esn: bool = False
    window: int = 64

    def __str__(self) -> str:
        return f"{self.esp}-{self.inside}in{self.outside}{'-esn' if self.esn else ''}-w{self.window}"


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
        algorithm = ALGORITHMS[case.esp]
        near, far = OUTER[case.outside]
        mine, theirs = NETS[case.inside]
        self.order(eroute.main, "--clear")
        self.order(spi.main, "--clear")
        script = ["ip xfrm policy flush", "ip xfrm state flush"]
        for src, dst in ((near, far), (far, near)):
            number = 0x100 + next(SPIS) % 0xF00
            enc, auth = os.urandom(algorithm.enc).hex(), os.urandom(algorithm.auth).hex()
            flags = "flag af-unspec" + (" flag esn" if case.esn else "")
            script.append(
                f"ip xfrm state add src {src} dst {dst} proto esp spi {number} reqid 1 mode tunnel"
                f" replay-window {case.window} {flags} {algorithm.theirs(enc, auth)}"
            )
            said = f"esp0x{number:x}@{dst}" if case.outside == 4 else f"esp:{number:x}@{dst}"
            words = ["--said", said, "--src", src, "--esp", case.esp, "--mode", "tunnel", "--fresh-keys"]
            words += ["--enckey", f"0x{enc}"] if enc else []
            words += ["--authkey", f"0x{auth}"] if auth else []
            self.order(spi.main, *words, "--replay_window", str(case.window), *(["--esn"] if case.esn else []))
            inward = dst == near
            a, b = (theirs, mine) if inward else (mine, theirs)
            self.order(eroute.main, "--addin" if inward else "--add", "--src", a, "--dst", b, "--said", said)
        for directory, src, dst, a, b in (("out", theirs, mine, far, near), ("in", mine, theirs, near, far)):
            script.append(
                f"ip xfrm policy add src {src} dst {dst} dir {directory}"
                f" tmpl src {a} dst {b} proto esp reqid 1 mode tunnel"
            )
        self.guest.sh("set -e\n" + "\n".join(script))

    def prove(self, case: Case, sizes: tuple[int, ...] = (1, 1000, 3000), stream: int = 20_000) -> None:
        """Pings, datagrams and a TCP stream there and back, octet for octet; and pings the guest begins."""
        here, there = HOSTS[case.inside]
        sunset = self.lab.sunset
        assert_ping(sunset, there, 2, wait=4)
        for size in sizes:
            assert self.echoed(sunset, here, there, size), f"{case}: UDP of {size} octets"
        assert self.streamed(sunset, there, stream), f"{case}: TCP"
        source = f"-I {there}"
        said = self.guest.sh(f"ping -n -c 2 -i 0.05 -W 4 -s 900 {source} {here}", check=False)
        assert "2 received" in said, f"{case}: {said}"

    def echoed(self, host: Host, here: str, there: str, size: int) -> bool:
        """A datagram of random octets that may be fragmented, sent until it comes back or four times."""
        payload = os.urandom(size)
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

    def streamed(self, host: Host, there: str, octets: int) -> bool:
        """Random octets over TCP and back."""
        data = os.urandom(octets)
        with host.inside():
            s = socket.socket(family(there), socket.SOCK_STREAM)
        with s:
            s.settimeout(10)
            s.connect((there, 7003))
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            back = b""
            while len(back) < octets and (piece := s.recv(1 << 16)):
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


def everything() -> Iterator[Case]:
    """The full cross product."""
    for esp in ALGORITHMS:
        for inside, outside in FAMILIES:
            for esn, window in ((False, 64), (True, 64), (True, 2048)):
                yield Case(esp, inside, outside, esn, window)
