# SPDX-License-Identifier: GPL-2.0-or-later
"""One IKEv2 SA, initiator or responder: bytes, requests and the clock in, effects out (RFC 7296).

Here is its face: what may be asked of it, and time. What it hears is in `receiver`, how it sends, waits and ends in
`core`, what it remembers in `values`, what a request is in `task`, the exchanges themselves in `tasks`, one file each.
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.address import Endpoint
from openswan.base.entropy import Rng
from openswan.base.errors import IpsecError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike.effects import Effect, Gone, RequestFailed, Silent
from openswan.ike.events import (
    CreateChild,
    DeleteChild,
    DeleteIke,
    MoveIke,
    Probe,
    ProbePath,
    RekeyChild,
    RekeyIke,
    Request,
    Tell,
    TellAddresses,
)
from openswan.ike.policy import IkePolicy, Responder
from openswan.ike.resumption import Ticket
from openswan.ike.retransmit import Due
from openswan.ike.v2.receiver import Receiver
from openswan.ike.v2.states import ENDED, State
from openswan.ike.v2.task import Flight
from openswan.ike.v2.tasks import crash, ike_delete, mobike, natd, streams
from openswan.ike.v2.tasks.background import Background
from openswan.ike.v2.tasks.child_create import ChildCreate
from openswan.ike.v2.tasks.child_delete import ChildDelete
from openswan.ike.v2.tasks.child_rekey import ChildRekey
from openswan.ike.v2.tasks.ike_rekey import IkeRekey, inherit
from openswan.ike.v2.tasks.init import InitTask
from openswan.ike.v2.tasks.liveness import Liveness, QuietLiveness
from openswan.ike.v2.tasks.pathprobe import PathProbe
from openswan.ike.v2.tasks.resume import ResumeTask
from openswan.ike.v2.tasks.tell import TellTask
from openswan.ike.v2.values import Postponed
from openswan.plane.commands import Encap
from openswan.wire.v2.numbers import NotifyType

SILENT = 3
"""Repetitions after which a peer counts as silent: with ordinary waits, after 3.5 seconds."""


class IkeSaV2(Receiver):
    """An IKE SA. Every method that takes `now` returns the effects to carry out, in order; none raises on bad input.

    Read-only views: `spi_i`, `spi_r` (8 octets each; what find it), `is_initiator` (original role), `my_spi`,
    `peer_spi`, `state` (states.State), `is_established`, `policy`, `peer_id`, `my_id`, `chosen` (ChosenIke), `local`,
    `remote` (Endpoint), `children` (dict: inbound SPI -> Child), `nat_here`, `nat_there`, `encapsulate`, `own_peer`,
    `created`, `established` (Instant), `last_heard` (Instant of the last authenticated message), `counters`
    (Ignored -> datagrams), `busy` (a request is unanswered or waiting), `init_i` (as responder: the whole first
    request; another one with the same SPI is another initiator's, RFC 7296 2.1).
    """

    @classmethod
    def initiator(
        cls, policy: IkePolicy, local: Endpoint, remote: Endpoint, responder: Responder, rng: Rng, now: Instant
    ) -> IkeSaV2:
        """A machine that will open an IKE SA; `initiate` makes it begin."""
        sa = cls(True, local, remote, responder, rng, now)
        sa.policy = policy
        return sa

    @classmethod
    def responder(cls, local: Endpoint, remote: Endpoint, responder: Responder, rng: Rng, now: Instant) -> IkeSaV2:
        """A machine for a fresh IKE_SA_INIT request, which is to be given to `receive` next."""
        return cls(False, local, remote, responder, rng, now)

    # --- what goes in

    def initiate(self, children: Sequence[CreateChild], now: Instant, ticket: Ticket | None = None) -> list[Effect]:
        """Send IKE_SA_INIT; the first child goes into IKE_AUTH, the others follow in CREATE_CHILD_SA exchanges.

        With a ticket the session it stands for is resumed if the responder lets it be (RFC 5723).
        IpsecError when there is no child or the machine has already begun: mistakes of the caller.
        """
        if self.state is not State.I0 or not children:
            raise IpsecError("an IKE SA is initiated once, with at least one child SA")
        policy = self.need_policy()
        self.initial = tuple(children)
        self.opens = self.local.stream
        resumes = ticket is not None and now < ticket.until and policy.resumption
        task = ResumeTask(policy, ticket) if ticket is not None and resumes else InitTask(policy)
        self.move(State.I1)
        self.log(f"{self.state.label}: initiate", self.state.code)
        self.submit(task, now)
        return self.drain()

    def timer(self, now: Instant) -> list[Effect]:
        """Do what is due: retransmissions, retries, giving up."""
        if self.postponed is not None and now >= self.postponed.until:
            self._tire(self.postponed, now)
        if self.deadline is not None and now >= self.deadline:
            self._expire(now)
        self.refuse_aside(now)
        self._retry(now)
        for message_id in list(self.flights):
            flight = self.flights.get(message_id)
            if flight is not None:
                self._look(flight, now)
        return self.drain()

    def _look(self, flight: Flight, now: Instant) -> None:
        """Is an unanswered request to be repeated, or given up?"""
        task, due = flight.task, flight.outstanding.due(now)
        if due is Due.REPEAT and isinstance(task, PathProbe) and not task.last:
            task.repeat(self, now, timed_out=True)
        elif due is Due.REPEAT:
            if not self.local.stream:
                self._repeat_request(flight)
            unheard = flight.outstanding.repeats - flight.excused
            if unheard >= SILENT and self.is_established and not self.silent and not self.idle(task):
                self.silent = True
                self.emit(Silent())
        elif due is Due.GIVE_UP and isinstance(task, Background) and self.is_established and self.idle(task):
            task.persist(self, now)
        elif due is Due.GIVE_UP:
            self._give_up(flight, now)

    def _repeat_request(self, flight: Flight) -> None:
        wait = flight.outstanding.wait
        self.log(f"{self.state.label}: retransmission; will wait {wait:g}s for response", Rc.RETRANSMISSION)
        self.dispatch(flight.outstanding.datagrams, whole=flight.task.whole)
        mobike.seek(self, flight.outstanding)

    def next_timer(self) -> Instant | None:
        """When `timer` wants to be called; None: never as things stand."""
        instants = [when for when, _ in self.deferred]
        instants += [flight.outstanding.next for flight in self.flights.values()]
        if self.deadline is not None:
            instants.append(self.deadline)
        if self.postponed is not None:
            instants.append(self.postponed.until)
        instants += [one.until for one in self.aside]
        return min(instants, default=None)

    def request(self, request: Request, now: Instant) -> list[Effect]:
        """Queue a request (openswan.ike.events); it is sent when the window has room."""
        if isinstance(request, DeleteIke):
            self.close(now)
        elif isinstance(request, MoveIke) and self.proving:
            mobike.move(self, Endpoint(request.local, self.local.port), self.remote, now, request)
        elif not self.is_established:
            self.emit(RequestFailed(request, f"the IKE SA is in {self.state.label}"))
        else:
            self._submit(request, now)
        return self.drain()

    def doubt(self, why: str, now: Instant) -> list[Effect]:
        """Somebody unauthenticated says that the peer does not know us: it is asked, at most now and then."""
        crash.doubt(self, why, now)
        return self.drain()

    def abandon(self, now: Instant) -> list[Effect]:
        """End without a word to the peer: children gone, IkeGone, Forget; keys are wiped."""
        if self.state in ENDED:
            self.vanish()
        else:
            self.end(Gone.LOCAL, now)
        return self.drain()

    def mapped(self, remote: Endpoint) -> None:
        """An authentic ESP packet showed that the peer's NAT has another address or port for it: requests, those being
        repeated too, go there from now on (RFC 7296 2.23)."""
        if (self.nat_there or remote.stream) and self.state not in ENDED:
            self.remote = remote

    def encap(self) -> Encap | None:
        """The ports ESP uses at this moment, of TCP if IKE does; None for raw protocol 50."""
        return natd.encap(self)

    def reconnected(self, local: Endpoint, remote: Endpoint, now: Instant) -> list[Effect]:
        """A TCP connection of ours has taken the place of one that broke (RFC 9329 6.1)."""
        streams.resume(self, local, remote, now)
        return self.drain()

    def discard(self, now: Instant) -> list[Effect]:
        """Close a successor that lost a simultaneous rekeying."""
        self.close(now)
        return self.drain()

    # --- requests

    def _submit(self, request: Request, now: Instant) -> None:
        if isinstance(request, CreateChild):
            self.submit(ChildCreate(request, request.policy), now)
        elif isinstance(request, RekeyIke):
            self.submit(IkeRekey(request), now)
        elif isinstance(request, Probe):
            self.submit(QuietLiveness(request) if request.quiet else Liveness(request), now)
        elif isinstance(request, Tell):
            self.submit(TellTask(request), now)
        elif isinstance(request, ProbePath):
            self.submit(PathProbe(request), now)
        elif isinstance(request, MoveIke):
            mobike.move(self, Endpoint(request.local, self.local.port), self.remote, now, request)
        elif isinstance(request, TellAddresses):
            if self.mobike and not self.decides:
                self.submit(mobike.Tell(request), now)
        elif isinstance(request, RekeyChild | DeleteChild):
            child = self.children.get(request.spi_in)
            if child is None or child.deleting:
                self.emit(RequestFailed(request, "there is no such child SA"))
            elif isinstance(request, RekeyChild):
                self.submit(ChildRekey(request, child), now)
            else:
                child.deleting = True
                self.submit(ChildDelete(request), now)

    def create_others(self, now: Instant, done: int = 1) -> None:
        """Ask for the initial children that had no place in IKE_AUTH; `done`: how many had one."""
        for request in self.initial[done:]:
            self._submit(request, now)

    def close(self, now: Instant) -> None:
        """Close this SA from our side, telling the peer."""
        ike_delete.close(self, now)

    def make_successor(self, is_initiator: bool, now: Instant) -> IkeSaV2:
        """An IKE SA that inherits policy, peer and addresses, with windows and SPIs of its own."""
        new = type(self)(is_initiator, self.local, self.remote, self.ask, self.rng, now)
        for name in INHERITED:
            setattr(new, name, getattr(self, name))
        new.provisional = True
        new.established = now
        return new

    # --- time

    def _retry(self, now: Instant) -> None:
        ready = [task for when, task in self.deferred if now >= when]
        if ready:
            self.deferred = [(when, task) for when, task in self.deferred if now < when]
            # What has waited longest goes first: its packets are about to be given up.
            self.queue.extendleft(reversed(ready))
            self.pump(now)

    def _expire(self, now: Instant) -> None:
        self.deadline = None
        if self.postponed is not None:
            self._tire(self.postponed, now)
            return
        if self.is_established:
            self.log("the peer has not gone where it was sent: closing this IKE SA")
            self.close(now)
            return
        if self.state is State.R1:
            self.fail("no IKE_AUTH request came", timeout=True, gone=Gone.TIMEOUT)
        self.vanish()

    def _tire(self, postponed: Postponed, now: Instant) -> None:
        """What a step waits for has not come."""
        self.postponed = None
        self.fail(f"gave up waiting for {postponed.job}", timeout=True, gone=Gone.TIMEOUT)
        if self.state is State.I2:
            # The peer believes in an SA.
            ike_delete.close(self, now, NotifyType.AUTHENTICATION_FAILED)
        else:
            self.vanish()

    def _give_up(self, flight: Flight, now: Instant) -> None:
        """No answer: the peer is dead, or does not want us."""
        task = flight.task
        text = f"max number of retransmissions ({flight.outstanding.repeats}) reached {self.state.label}."
        del self.flights[flight.outstanding.message_id]
        if isinstance(task, ResumeTask):
            self.log("no answer to IKE_SESSION_RESUME: beginning anew")
            task.begin_anew(self, now)
        elif self.state is State.I1 and isinstance(task, InitTask):
            if task.refusal is not None:
                self.fail(*task.refusal)
            else:
                reason = f"{text}  No response (or no acceptable response) to our first IKE message"
                self.fail(reason, timeout=True, gone=Gone.TIMEOUT)
            self.vanish()
        elif self.state is State.I2:
            reason = f"{text}  Possible authentication failure: no acceptable response to our first encrypted message"
            self.fail(reason, timeout=True, gone=Gone.TIMEOUT)
            self.vanish()
        elif self.heir is not None:
            inherit(self, self.heir, False, now, task.token)
        elif self.state in (State.CLOSING, State.REPLACED):
            self.vanish()
        else:
            self.log(f"{text}  The peer does not answer", Rc.NORETRANSMISSION)
            task.failed(self, "no answer from the peer")
            self.end(Gone.TIMEOUT, now)


INHERITED = (
    "policy",
    "peer_id",
    "my_id",
    "anonymous",
    "children",
    "assigned",
    "granted",
    "nat_here",
    "nat_there",
    "encapsulate",
    "forced",
    "opens",
    "redirectable",
    "mobike",
    "decides",
    "peer_addresses",
    "own_peer",
    "takes_probes",
    "peer_fragments",
    "peer_hashes",
    "peer_authorities",
    "windows",
    "peer_chain",
    "peer_grade",
    "peer_key",
)
"""What a successor shares with the IKE SA it replaces; the dict of children is the same object until one inherits."""
