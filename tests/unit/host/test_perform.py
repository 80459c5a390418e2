# SPDX-License-Identifier: GPL-2.0-or-later
"""Every effect reaches the part that carries it out, and its end comes back as an event."""

from __future__ import annotations

import asyncio
import socket
import typing
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.address import Address, Endpoint
from openswan.base.errors import HostError, KlipsError
from openswan.base.said import Shunt
from openswan.config.secrets import SecretStore
from openswan.crypto.sign import SCHEMES
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.engine import effects
from openswan.engine.events import (
    CertificatesRead,
    EffectFailed,
    EngineEvent,
    Fetched,
    GatewaysLearned,
    GroupFile,
    GroupsRead,
    HostResolved,
    KeysLearned,
    SecretsRead,
    Signed,
    UpdownDone,
)
from openswan.engine.oeevents import Learned, Verdict
from openswan.host import perform
from openswan.host.ikesock import OuterSockets
from openswan.host.perform import FLUSH_PAUSE, Parts, Performer
from openswan.host.updown import Outcome
from openswan.plane.commands import AttachSocket, Command, DelEroute, DetachSocket, Flush, SetEroute
from openswan.policy.gateways import Published
from openswan.policy.selector import FlowKey

V4 = ip_address("127.0.0.1")
HERE, THERE = Endpoint(V4, 500), Endpoint(V4, 501)
KEY = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"))


class Doubles:
    """Stands in for everything effects act on."""

    def __init__(self, *listen_only: Address) -> None:
        self.done: list[Any] = []
        self.events: list[EngineEvent] = []
        self.lines: list[tuple[str, bool]] = []
        self.refuse = ""
        self.performer = Performer(self.parts(listen_only), self.events.append)

    def parts(self, listen_only: tuple[Address, ...]) -> Parts:
        return Parts(
            engine=self,
            guard=self,  # type: ignore[arg-type]
            control=self,
            run_updown=self.run_updown,
            resolve=self.resolve,
            read_secrets=lambda client: SecretsRead(SecretStore(), (), client),
            read_groups=lambda names, client: GroupsRead(tuple(GroupFile(n, n, "") for n in names), client),
            read_certificates=lambda client: CertificatesRead((), (), (), client),
            flush_conntrack=lambda flows: self.note("flush", flows),
            log=lambda text, serious, event="": self.lines.append((text, serious)),
            shutdown=lambda keep: self.note("shutdown", keep),
            interface_mtu=lambda name: {"lo": 1400}[name],
            fetch=self.fetch,
            learn_gateways=self.learn_gateways,
            learn_keys=self.learn_keys,
            sign=self.sign,
            login=self.login,
            listen_only=listen_only,
        )

    def note(self, *what: Any) -> None:
        if self.refuse:
            raise HostError(self.refuse)
        self.done.append(what)

    def execute(self, command: Command) -> None:
        if self.refuse:
            raise KlipsError(self.refuse)
        self.done.append(command)

    def set(self, *args: Any) -> None:
        self.note("set", *args)

    def delete(self, *args: Any) -> None:
        self.note("delete", *args)

    def leave_open(self, *args: Any) -> None:
        self.note("leave_open", *args)

    def reply(self, *args: Any) -> None:
        self.note("reply", *args)

    def finish(self, *args: Any) -> None:
        self.note("finish", *args)

    async def fetch(self, uri: str, *rest: Any) -> bytes:
        self.note("fetch", uri, *rest)
        if "bug" in uri:
            raise ZeroDivisionError
        return b"list"

    async def learn_gateways(self, destination: Address) -> tuple[Learned, tuple[str, ...]]:
        return Learned(destination, Verdict.NONE, reason="nothing there"), ("a bad record",)

    async def learn_keys(self, name: str) -> tuple[Published, tuple[str, ...]]:
        return Published((), reason=f"nothing under {name}"), ()

    async def login(self, connection: str, user: str, password: bytes) -> bytes:
        if password != b"right":
            raise HostError("Incorrect Username or Password")
        return b""

    async def sign(self, *what: Any) -> bytes:
        self.note("sign", *what)
        return b"signature"

    def run_updown(self, command: str, environment: dict[str, str]) -> Outcome | Coroutine[Any, Any, Outcome]:
        if command == "refused":
            raise HostError("no such route")
        return (0, (environment["PLUTO_VERB"],)) if command == "here" else self.slow_updown(command, environment)

    async def slow_updown(self, command: str, environment: dict[str, str]) -> Outcome:
        await asyncio.sleep(0)
        if command == "broken":
            raise HostError("no such script")
        return 7, (f"{command} {environment['PLUTO_VERB']}",)

    async def resolve(self, name: str, version: int) -> tuple[tuple[Address, ...], str, float]:
        if name == "unanswered":
            await asyncio.Event().wait()
        return ((V4,), "", 3600.0) if version == 4 else ((), "none", 3600.0)


def test_the_table_knows_every_effect() -> None:
    assert set(typing.get_args(effects.Effect)) == set(Doubles().performer._table)


def test_plain_effects_arrive_where_they_belong() -> None:
    doubles = Doubles()
    entry = effects.GuardEntry(KEY, "ipsec0")
    for effect in (
        effects.SetGuard("x", (entry,), (6,)),
        effects.DelGuard("x"),
        effects.WhackLine(3, 4, "up"),
        effects.WhackLine(0, 4, "for the daemon itself"),
        effects.WhackDone(3),
        effects.KlipsCommand(Flush()),
        effects.Log("line", True),
        effects.Shutdown(True),
    ):
        doubles.performer(effect)
    assert doubles.done == [
        ("set", "x", (entry,), (6,)),
        ("delete", "x"),
        ("reply", 3, 4, "up"),
        ("finish", 3),
        Flush(),
        ("shutdown", True),
    ]
    assert doubles.lines == [("line", True)]


def test_files_are_read_at_once() -> None:
    doubles = Doubles()
    doubles.performer(effects.ReadSecrets(5))
    doubles.performer(effects.ReadCertificates(6))
    assert doubles.events == [SecretsRead(SecretStore(), (), 5), CertificatesRead((), (), (), 6)]


def test_files_of_groups_are_read() -> None:
    doubles = Doubles()
    doubles.performer(effects.ReadGroups(("clear", "block"), 7))
    [event] = doubles.events
    assert isinstance(event, GroupsRead) and event.client == 7
    assert [file.name for file in event.files] == ["clear", "block"]


def test_refusals_come_back_or_are_logged() -> None:
    doubles = Doubles()
    doubles.refuse = "no room"
    doubles.performer(effects.KlipsCommand(SetEroute(KEY, Shunt.TRAP), token=9))
    assert doubles.events == [EffectFailed(9, "no room")]
    doubles.performer(effects.KlipsCommand(DelEroute(KEY)))
    doubles.performer(effects.DelGuard("x"))
    assert [line for line, serious in doubles.lines if serious] == [
        "packet engine refused DelEroute: no room",
        '"x": the leak guard could not be taken back: no room',
    ]


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        await work()

    asyncio.run(go())


def test_a_refused_guard_is_tried_until_it_is_in_or_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perform, "GUARD_AGAIN", 0.01)
    doubles = Doubles()

    async def work() -> None:
        doubles.refuse = "no room"
        doubles.performer(effects.SetGuard("x", ()))
        doubles.performer(effects.SetGuard("y", ()))
        await asyncio.sleep(0.05)
        doubles.refuse = ""
        doubles.performer(effects.DelGuard("y"))
        await asyncio.sleep(0.05)

    run(work)
    assert doubles.done == [("delete", "y"), ("set", "x", (), ())]
    assert doubles.lines.count(('"x": the leak guard could not be set, trying again: no room', True)) > 1


def test_open_flows_the_guard_refuses_stay_closed_and_that_is_said() -> None:
    doubles = Doubles()
    doubles.performer(effects.OpenFlows((KEY,)))
    assert doubles.done == [("leave_open", (KEY,))]
    doubles.refuse = "no room"
    doubles.performer(effects.OpenFlows(()))
    assert doubles.lines == [("what this host asks its resolvers stays closed: no room", True)]


def test_flows_of_one_moment_are_forgotten_in_one_go() -> None:
    doubles = Doubles()
    flow, back = (KEY.src, KEY.dst), (KEY.dst, KEY.src)

    async def work() -> None:
        doubles.performer(effects.FlushConntrack((flow,)))
        doubles.performer(effects.FlushConntrack((back,)))
        assert doubles.done == []
        await asyncio.sleep(0.01)
        assert doubles.done == [("flush", (flow, back))]
        doubles.refuse = "no room"
        doubles.performer(effects.FlushConntrack((flow,)))
        await asyncio.sleep(0.01)
        assert doubles.lines == [], "not so soon after the last"
        await asyncio.sleep(FLUSH_PAUSE)

    run(work)
    assert doubles.lines == [("connection tracking entries could not be deleted: no room", True)]


def test_what_takes_time_ends_with_an_event() -> None:
    doubles = Doubles()

    async def work() -> None:
        doubles.performer(effects.RunUpdown(1, "ipsec _updown", {"PLUTO_VERB": "up-client"}))
        doubles.performer(effects.RunUpdown(2, "broken", {}))
        doubles.performer(effects.Resolve("a", 4))
        doubles.performer(effects.Resolve("b", 6))
        doubles.performer(effects.LearnGateways(V4))
        doubles.performer(effects.LearnKeys("gw.example"))
        assert doubles.events == []
        await asyncio.sleep(0.01)
        await doubles.performer.finish()

    run(work)
    assert set(doubles.events) == {
        UpdownDone(1, 7, ("ipsec _updown up-client",)),
        UpdownDone(2, 1, ("no such script",)),
        HostResolved("a", (V4,), ""),
        HostResolved("b", (), "none"),
        GatewaysLearned(Learned(V4, Verdict.NONE, reason="nothing there"), ("a bad record",)),
        KeysLearned("gw.example", Published((), reason="nothing under gw.example")),
    }


def test_fetching_and_signing_end_with_an_event_whatever_happens() -> None:
    doubles = Doubles()
    key = TokenKey(TokenUri(label="x"), ed25519.Ed25519PrivateKey.generate().public_key())

    async def work() -> None:
        doubles.performer(effects.Fetch(1, "http://a/", 10, 2.0))
        doubles.performer(effects.Sign(2, key, SCHEMES[0], b"octets"))
        doubles.performer(effects.Fetch(3, "http://bug/", 10, 2.0, b"question", "type"))
        await asyncio.sleep(0.01)
        doubles.refuse = "no way"
        doubles.performer(effects.Fetch(4, "http://a/", 10, 2.0))
        doubles.performer(effects.Sign(5, key, SCHEMES[0], b"octets"))
        await asyncio.sleep(0.01)
        await doubles.performer.finish()

    run(work)
    assert doubles.events == [
        Fetched(1, b"list", ""),
        Signed(2, b"signature", ""),
        Fetched(3, b"", "a mistake of this program: ZeroDivisionError()"),
        Fetched(4, b"", "no way"),
        Signed(5, b"", "no way"),
    ]
    assert ("fetch", "http://bug/", 10, 2.0, b"question", "type") in doubles.done
    assert any("EXPECTATION FAILED" in line for line, _ in doubles.lines)


def test_an_updown_command_that_takes_no_time_is_done_at_once() -> None:
    doubles = Doubles()
    doubles.performer(effects.RunUpdown(1, "here", {"PLUTO_VERB": "up-client"}))
    doubles.performer(effects.RunUpdown(2, "refused", {}))
    assert doubles.events == [UpdownDone(1, 0, ("up-client",)), UpdownDone(2, 1, ("no such route",))]


def test_the_end_does_not_wait_for_a_name_server() -> None:
    doubles = Doubles()

    async def work() -> None:
        doubles.performer(effects.Resolve("unanswered", 4))
        doubles.performer(effects.RunUpdown(1, "ipsec _updown", {"PLUTO_VERB": "down-client"}))
        await asyncio.sleep(0)
        await asyncio.wait_for(doubles.performer.finish(patience=60), 30)

    run(work)
    assert doubles.events == [UpdownDone(1, 7, ("ipsec _updown down-client",))]


def test_a_bug_in_a_task_is_logged() -> None:
    doubles = Doubles()

    async def work() -> None:
        doubles.performer(effects.RunUpdown(1, "x", {}))
        await doubles.performer.finish()
        await asyncio.sleep(0)

    run(work)
    assert doubles.lines == [("EXPECTATION FAILED in a background task: KeyError('PLUTO_VERB')", True)]


def test_listening_gives_the_engine_its_sockets(namespace: Callable[[Callable[[], Any]], Any]) -> None:
    doubles = Doubles(V4)
    heard: list[bytes] = []

    async def work() -> None:
        performer = doubles.performer
        performer(effects.Listen(((V4, "lo"),)))
        assert doubles.done == []
        performer.sockets = OuterSockets(
            lambda _, messages: heard.extend(data for _, data in messages),
            lambda *_: None,
            performer.attach,
            performer.detach,
        )
        performer(effects.Listen(((V4, "lo"), (ip_address("::1"), "lo"))))
        attached = [each for each in doubles.done if isinstance(each, AttachSocket)]
        assert [(each.local, each.mtu) for each in attached] == [
            (Endpoint(V4, 4500), 1400),
            *[(Endpoint(V4, 0), 1400)] * 3,
        ]
        assert [int(each.protocol) for each in attached] == [50, 50, 51, 108]
        performer(effects.SendDatagram(HERE, HERE, b"to ourselves"))
        performer(effects.SendKeepalive(HERE, HERE))
        for _ in range(100):
            if len(heard) == 2:
                break
            await asyncio.sleep(0.01)
        assert heard == [b"to ourselves", b"\xff"]
        performer(effects.Listen(()))
        assert performer.in_use == []
        detached = [each.local for each in doubles.done if isinstance(each, DetachSocket)]
        assert detached == [Endpoint(V4, 4500), *[Endpoint(V4, 0)] * 3]

    namespace(lambda: asyncio.run(work()))  # type: ignore[arg-type]


def test_a_port_that_is_taken_is_tried_again(
    namespace: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform, "LISTEN_AGAIN", 0.05)
    doubles = Doubles()

    async def work() -> None:
        performer = doubles.performer
        performer.sockets = OuterSockets(
            lambda *_: None, lambda *_: None, performer.attach, performer.detach, ike_port=500
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 500))
            performer(effects.Listen(((V4, "lo"),)))
            assert len(performer.in_use) == 1 and "127.0.0.1:500" in performer.in_use[0]
            await asyncio.sleep(0.2)
            assert len(doubles.lines) == 1, "said once, not at every try"
        await asyncio.sleep(0.2)
        assert performer.in_use == [] and len(list(performer.sockets)) == 5
        await performer.finish()

    namespace(lambda: asyncio.run(work()))
