# SPDX-License-Identifier: GPL-2.0-or-later
"""What fits through the path to each peer: probed, told by routers (who may lie), aged.

Outer IPv4 packets carry no DF, so routers cut what is too large and nothing is lost, only slow; outer IPv6 packets
leave in fragments of 1280 octets until more is proven. Probing finds the size at which neither is needed, without ICMP:

    child SA up ──► probe ──► SetPathMtu ──► probe finer ... settled ──(ten minutes)──► probe again from the top
    ICMP too big about a packet of ours ──► lower at once (RFC 4301 8.2), then probe whether it was true

Sizes here are whole outer IP packets, octets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.address import Address
from openswan.base.interval import Duration, Instant
from openswan.engine.events import PathTooBig
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import PathProbed
from openswan.ike.events import ProbePath
from openswan.plane.commands import SetPathMtu

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

LEAST = {4: 576, 6: 1280}
"""No path is believed to take less (RFC 791 3.2 of hosts, RFC 8200 5)."""
MOST = 9216
"""Larger ones are not probed."""
LADDER = (1500, 1400, 1280)
"""What a first probe falls back to, one after the other, in a single exchange."""
COMMON = (9000, 8000, 4470, 4352, 2002, 1500, 1492, 1480, 1472, 1460, 1452, 1440, 1420, 1400, 1380, 1340, 1300, 1280,
          1006)  # fmt: skip
"""Sizes that paths have (RFC 1191 7.1, tunnels of today): tried before any in between."""
LIKELY = frozenset((*COMMON, *LEAST.values()))
GRAIN = 16
"""So near is near enough; block ciphers make IKE messages no finer."""
AGAIN: Duration = 600.0
"""Until a path is tried from the top again (RFC 1191 6.3, RFC 8201 5.3)."""
SOON: Duration = 0.02
BUSY: Duration = 1.0
"""Until a probe is tried again for which the IKE SA had no time."""
WAIT: Duration = 1.0
"""For an answer while the round trip is not known (RFC 6298 2)."""
LEAST_WAIT: Duration = 0.2
MOST_WAIT: Duration = 3.0
VERIFY: Duration = 10.0
"""ICMP about one path is listened to once in this time."""
HEADERS = {4: 28, 6: 48}
"""IP and UDP."""
MARKER = 4
"""Non-ESP marker on every port but IKE's own."""


@dataclass(slots=True)
class Search:
    """The limits between which a path's MTU lies."""

    version: int
    top: int
    """Of the interface."""
    good: int = 0
    """Largest size that arrived, or was told; 0: nothing is known."""
    bad: int = 0
    """Smallest size that did not; 0: none."""
    hint: int = 0
    """A size to be tried before all others."""
    was: int = 0
    """`bad` before it was forgotten."""

    @property
    def floor(self) -> int:
        """What counts as proven."""
        return LEAST[self.version]

    def sizes(self) -> tuple[int, ...]:
        """What the next exchange tests, descending, the last one safe; empty when it is settled."""
        upper = min(self.top, MOST, self.bad - 1 if self.bad else MOST)
        if self.good + GRAIN > upper:
            return ()
        if not self.good:
            steps: tuple[int, ...] = (upper, *LADDER)
        elif self.hint:
            steps = (self.hint, self.good)
        elif not self.bad:
            steps = (upper, self.good)
        elif self.good in LIKELY and self.bad - self.good > 4 * GRAIN:
            # Most likely just that: one question more says so.
            steps = (self.good + GRAIN, self.good)
        else:
            # At least a grain more, so that rounding to cipher blocks leaves some of it.
            between = [size for size in COMMON if self.good + GRAIN <= size < self.bad]
            middle = max((self.good + self.bad) // 2, self.good + GRAIN)
            steps = (between[len(between) // 2] if between else middle, self.good)
        return (*(size for size in dict.fromkeys(steps) if self.floor < size <= upper), self.floor)

    def result(self, proven: int, refused: int) -> None:
        """An exchange has ended: `refused` (0: none) got no answer, `proven` did."""
        self.hint = 0
        if refused:
            self.bad = min(self.bad or refused, refused)
            if self.was and proven == self.good:
                # As before: nothing in between needs another try.
                self.bad = min(self.bad, self.was)
        self.was = 0
        proven = max(proven, self.floor)
        if proven > self.good or (refused and refused <= self.good):
            # The path may have become narrower since, too.
            self.good = proven
        if self.bad <= self.good:
            self.bad = 0

    def told(self, mtu: int) -> None:
        """A router says that no more than this gets through; what was believed before is tried next."""
        self.hint = min(self.good or self.top, MOST)
        self.good, self.bad = mtu, 0

    def age(self) -> None:
        """What did not get through once may do so now."""
        self.was, self.bad = self.bad, 0

    def narrow(self, top: int) -> None:
        """The interface's MTU is this now."""
        self.top, self.bad, self.hint, self.was = top, 0, 0, 0
        self.good = min(self.good, top)


@dataclass(slots=True)
class Path:
    """One pair of outer addresses."""

    local: Address
    remote: Address
    search: Search
    mtu: int = 0
    """As the packet engine has been told; 0: nothing."""
    children: dict[int, ChildState] = field(default_factory=dict)
    """Those that use it, by serial."""
    token: int = 0
    """Of the probe under way."""
    heard: Instant = field(default=float("-inf"))
    """When a router's word was taken last."""
    believed: int = 0
    """What was right before that; 0: its word has been judged."""


class PathMtus:
    """All paths that child SAs use."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.paths: dict[tuple[Address, Address], Path] = {}
        self.probes: dict[int, tuple[Path, int]] = {}
        """Token -> path, and what IKE messages are shorter than its packets."""
        self.forged = 0
        """ICMP errors that were about no packet of ours, or a lie."""
        self.taken = 0
        """Those that were believed."""

    # -- what child SAs start with ------------------------------------------------------------------------------------

    def start(self, ike: IkeState, local: Address, remote: Address) -> tuple[int, bool]:
        """For a new SA: its path's MTU (0: the interface's), and whether that has yet to be proven."""
        path = self.paths.get((local, remote)) if not ike.machine.local.stream else None
        if path is not None and path.mtu:
            return path.mtu, False
        return 0, probes(ike)

    def child_up(self, child: ChildState) -> None:
        """A child SA is installed: find out what its path takes, unless that is known."""
        if child.local.stream:
            return  # TCP finds out by itself
        key = (child.local.address, child.remote.address)
        path = self.paths.get(key)
        if path is None:
            top = self.brain.core.plugs.mtu(key[0])
            path = self.paths[key] = Path(*key, Search(key[0].version, top))
        path.children[child.serial] = child
        if path.mtu:
            self._tell(child, path.mtu)
        elif not path.token:
            self._later(path, SOON)

    def child_gone(self, child: ChildState) -> None:
        """It uses its path no more; one without any is forgotten when it would be probed next."""
        path = self.paths.get((child.local.address, child.remote.address))
        if path is not None:
            path.children.pop(child.serial, None)

    # -- probing ------------------------------------------------------------------------------------------------------

    def _later(self, path: Path, delay: Duration) -> None:
        self.core.after(Timer.PATH, (path.local, path.remote), delay, partial(self._due, path))

    def _due(self, path: Path) -> None:
        search = path.search
        if not path.children:
            del self.paths[path.local, path.remote]
            return
        if path.token:
            self._later(path, BUSY)
            return
        sizes = search.sizes()
        if not sizes:
            search.age()
            sizes = search.sizes() or (search.good, search.floor)
        ike = self._prober(path)
        if ike is None:
            # Nobody to ask: what a router said holds for its time, then the interface counts again.
            if path.mtu and self.core.now - path.heard >= AGAIN:
                search.good = search.top
                self._publish(path)
            self._later(path, AGAIN)
        elif ike.machine.busy:
            self._later(path, BUSY)
        else:
            self._ask(path, ike, sizes)

    def _prober(self, path: Path) -> IkeState | None:
        """An IKE SA over this path whose peer takes fragments; the youngest."""
        for ike in (child.ike for child in reversed(path.children.values())):
            machine = ike.machine
            ends = (machine.local.address, machine.remote.address)
            if machine.is_established and not ike.closing and probes(ike) and ends == (path.local, path.remote):
                return ike
        return None

    def _ask(self, path: Path, ike: IkeState, sizes: tuple[int, ...]) -> None:
        machine = ike.machine
        less = HEADERS[path.local.version] + (0 if machine.local.port == self.core.settings.ike_port else MARKER)
        wait = WAIT if machine.round_trip is None else 3 * machine.round_trip + 0.1
        path.token = self.core.states.serial()
        self.probes[path.token] = (path, less)
        request = ProbePath(tuple(size - less for size in sizes), min(max(wait, LEAST_WAIT), MOST_WAIT), path.token)
        self.brain.ikes.request(ike, request)

    def probed(self, effect: PathProbed) -> None:
        """A probe was answered."""
        path, less = self.probes.pop(effect.token, (None, 0))
        if path is None:
            return
        path.token = 0
        search = path.search
        search.result(effect.octets + less, effect.refused + less if effect.refused else 0)
        if path.believed and search.good >= path.believed - GRAIN:
            # The router's word was not true: whoever wrote it is not listened to for a while.
            self.forged += 1
            path.heard = self.core.now + AGAIN
        path.believed = 0
        self._publish(path)
        self._later(path, SOON if search.sizes() else AGAIN)

    def failed(self, request: ProbePath) -> None:
        """A probe came to nothing: its IKE SA ended, or was not ready."""
        path, _ = self.probes.pop(request.token, (None, 0))
        if path is not None:
            path.token = 0
            self._later(path, BUSY)

    def _publish(self, path: Path, source: str = "") -> None:
        mtu = min(path.search.good, path.search.top)
        if mtu == path.mtu:
            return
        path.mtu = mtu
        for child in path.children.values():
            self._tell(child, mtu)
        top = path.search.top
        if mtu < top:
            self.core.log(f"path to {path.remote} takes packets of {mtu} octets, the interface {top}{source}")

    def _tell(self, child: ChildState, mtu: int) -> None:
        for said in (child.said_out, child.comp_out):
            if said is not None:
                self.core.klips(SetPathMtu(said, mtu))

    # -- what routers say ---------------------------------------------------------------------------------------------

    def too_big(self, event: PathTooBig) -> None:
        """An ICMP error, which anybody can send: believed only for less, about packets of ours, and within bounds."""
        path = self.paths.get((event.local, event.remote))
        if path is None or not ours(path, event):
            self.forged += 1
            return
        mtu = max(event.mtu, LEAST[4]) if path.local.version == 4 else event.mtu
        if mtu < LEAST[path.local.version]:
            self.forged += 1
            return
        if mtu >= (path.mtu or path.search.top) or self.core.now - path.heard < VERIFY:
            return
        self.taken += 1
        path.heard, path.believed = self.core.now, path.mtu or path.search.top
        path.search.told(mtu)
        self._publish(path, ", says a router")
        self._later(path, SOON)

    # -- interfaces ---------------------------------------------------------------------------------------------------

    def network(self) -> None:
        """The machine's interfaces are these now: a path takes no more than its interface."""
        for path in list(self.paths.values()):
            top = self.core.plugs.mtu(path.local)
            if top == path.search.top:
                continue
            path.search.narrow(top)
            if path.mtu > top:
                self._publish(path)
            self._later(path, SOON)


def probes(ike: IkeState) -> bool:
    """May paths be probed through this IKE SA?

    Only with peers of our own kind: strongSwan takes an INFORMATIONAL in fragments for an unencrypted one, and never
    answers it.
    """
    return (
        not ike.machine.local.stream
        and ike.machine.takes_probes
        and ike.machine.fragments
        and (ike.conn is None or ike.conn.policy.path_mtu)
    )


def ours(path: Path, event: PathTooBig) -> bool:
    """Is what an ICMP error quotes a packet of a live SA on this path?"""
    if event.spi:
        # The peer chose the SPI, and only packets of this SA have shown it.
        return any(
            child.spi_out == event.spi
            and (event.ports == (0, 0) or event.ports == (child.local.port, child.remote.port))
            for child in path.children.values()
        )
    return any(
        event.ike_spis == machine.spi_i + machine.spi_r and event.ports == (machine.local.port, machine.remote.port)
        for machine in {child.ike.serial: child.ike.machine for child in path.children.values()}.values()
    )
