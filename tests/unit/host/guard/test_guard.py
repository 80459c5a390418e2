# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard over a back end that is a set in memory."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from random import Random

import pytest

from openswan.base.errors import HostError
from openswan.engine.effects import GuardEntry
from openswan.host.guard import guard as module
from openswan.host.guard.guard import STATE_FILE, Guard, choose
from openswan.host.guard.model import Change, Element, GuardModel
from openswan.policy.selector import FlowKey


class Memory:
    """A kernel that holds elements; `broken` makes the next change fail, as an atomic one does: whole."""

    name, portid = "memory", 0

    def __init__(self) -> None:
        self.elements: set[Element] = set()
        self.devices: set[str] = set()
        self.changes = 0
        self.broken = False

    def load(self, model: GuardModel) -> None:
        self.elements, self.devices = model.elements(), model.devices()

    def apply(self, change: Change) -> None:
        if self.broken:
            self.broken = False
            raise HostError("no memory")
        if not change.remove <= self.elements or change.add & self.elements:
            raise HostError("no such element")
        self.elements = (self.elements - change.remove) | change.add
        self.devices = (self.devices - change.devices_remove) | change.devices_add
        self.changes += 1

    def check(self, model: GuardModel) -> bool:
        return (self.elements, self.devices) == (model.elements(), model.devices())

    def clear(self) -> None:
        self.elements = set()

    def follow_nat(self) -> None:
        pass

    def counters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def entry(n: int, device: str = "ipsec0") -> GuardEntry:
    return GuardEntry(FlowKey(ip_network("10.1.0.0/24"), ip_network(f"10.{n}.0.0/16")), device)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()
    monkeypatch.setattr(module, "choose", lambda *_: memory)
    monkeypatch.setattr(module, "choose_last", lambda *_: None)
    return memory


class LastMemory(Memory):
    """The last guard's table."""

    followed = 0

    def follow(self) -> None:
        self.followed += 1


@pytest.fixture
def last(kernel: Memory, monkeypatch: pytest.MonkeyPatch) -> LastMemory:
    memory = LastMemory()
    monkeypatch.setattr(module, "choose_last", lambda *_: memory)
    return memory


def test_the_last_guard_holds_what_the_first_one_holds(kernel: Memory, last: LastMemory, tmp_path: Path) -> None:
    guard = Guard.open(rundir=tmp_path)
    guard.set("a", (entry(2), entry(3)))
    assert last.elements == kernel.elements != set()
    guard.follow_devices()
    assert last.followed == 1 and guard.check()
    last.elements = set()
    assert not guard.check() and guard.restore() and last.elements == kernel.elements
    guard.set("a", (entry(2),))
    assert last.elements == kernel.elements
    guard.close(keep=False)
    assert not last.elements and not kernel.elements


def test_a_last_guard_that_fails_fails_nothing(
    kernel: Memory, last: LastMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    guard = Guard.open(log=lambda line, serious: lines.append(line))
    last.broken = True
    guard.set("a", (entry(2),))
    assert last.elements == kernel.elements and not lines, "loaded afresh"

    def full(*_: object) -> None:
        raise HostError("no memory")

    for name in ("apply", "load", "follow"):
        monkeypatch.setattr(last, name, full)
    guard.set("b", (entry(3),))
    guard.follow_devices()
    assert len(kernel.elements) == 2 and lines == ["last leak guard: no memory"]
    guard = Guard.open(last=False)
    assert guard.last is None


@pytest.mark.parametrize(
    ("why", "told"), [(OSError(95, "Operation not supported"), []), (OSError(105, "busy"), ["[Errno 105] busy"])]
)
def test_a_kernel_that_cannot_be_asked_has_no_last_guard(
    kernel: Memory, last: LastMemory, monkeypatch: pytest.MonkeyPatch, why: OSError, told: list[str]
) -> None:
    lines: list[str] = []

    def refuse(*_: object) -> None:
        raise why

    monkeypatch.setattr(last, "load", refuse)
    guard = Guard.open(log=lambda line, serious: lines.append(line))
    assert guard.last is None and lines == [f"last leak guard: {line}" for line in told]


def test_a_successor_takes_over_what_the_killed_one_held(kernel: Memory, tmp_path: Path) -> None:
    first = Guard.open(rundir=tmp_path)
    first.set("a", (entry(2),))
    first.set("b", (entry(3),), (6,))
    first.delete("a")
    first.set("c", (entry(4),))
    second = Guard.open(rundir=tmp_path)
    assert second.entries() == first.entries() and second.check()
    assert second.prune(("b",)) == ("c",) and set(second.entries()) == {"b"} and second.check()
    second.close(keep=True)
    assert kernel.elements and set(Guard.open(rundir=tmp_path).entries()) == {"b"}


def test_a_stop_leaves_nothing(kernel: Memory, tmp_path: Path) -> None:
    guard = Guard.open(rundir=tmp_path)
    guard.set("a", (entry(2),))
    guard.close(keep=False)
    assert not kernel.elements and not (tmp_path / STATE_FILE).exists()


def test_a_batch_is_one_change(kernel: Memory) -> None:
    guard = Guard.open()
    with guard.batch():
        for n in range(100):
            guard.set(f"c{n}", (entry(n),))
            guard.set(f"c{n}", (entry(n), entry(n + 100)))
        guard.delete("c7")
        guard.delete("never")
    assert kernel.changes == 1 and len(guard.entries()) == 99 and guard.check()


def test_a_failure_leaves_everything_as_it_was(kernel: Memory, tmp_path: Path) -> None:
    guard = Guard.open(rundir=tmp_path)
    guard.set("a", (entry(2),))
    before, elements = guard.entries(), set(kernel.elements)
    for act in (lambda: guard.set("a", (entry(3),)), lambda: guard.set("b", (entry(4),)), lambda: guard.delete("a")):
        kernel.broken = True
        kernel.check = lambda model: True  # type: ignore[method-assign]
        with pytest.raises(HostError):
            act()
        assert guard.entries() == before and kernel.elements == elements
    assert Guard.open(rundir=tmp_path).entries() == before


def test_a_kernel_emptied_behind_our_back_is_filled_by_the_next_change(kernel: Memory) -> None:
    guard = Guard.open()
    guard.set("a", (entry(2),))
    kernel.elements = set()
    assert not guard.check()
    guard.set("a", (entry(3),))
    assert guard.check()
    kernel.elements = set()
    assert guard.restore() and guard.check() and not guard.restore()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_comes_kernel_and_model_agree(kernel: Memory, seed: int) -> None:
    random, guard = Random(seed), Guard.open()
    for _ in range(60):
        with guard.batch():
            for _ in range(random.randrange(1, 5)):
                name = random.choice("abcdef")
                if random.random() < 0.3:
                    guard.delete(name)
                else:
                    entries = [entry(random.randrange(1, 6), random.choice(("ipsec0", "ipsec1"))) for _ in range(2)]
                    guard.set(name, tuple(entries), random.choice(((), (6,), (4,))))
        assert guard.check()


def test_look_up(kernel: Memory) -> None:
    guard = Guard.open()
    guard.set("a", (entry(2),))
    (match,) = guard.lookup(ip_address("10.1.0.1"), ip_address("10.2.0.1"))
    assert match.connection == "a" and match.outbound
    assert guard.lookup(ip_address("10.1.0.1"), ip_address("10.3.0.1")) == ()


def test_an_unknown_back_end_is_named() -> None:
    with pytest.raises(HostError, match="no such guard back end: pf"):
        choose("pf", (500,))
