# SPDX-License-Identifier: GPL-2.0-or-later
"""Orders of the table commands, carried out on a real packet engine without packets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from openswan.base.errors import ConfigError, IpsecError, KlipsError
from openswan.base.said import Shunt, parse_said
from openswan.daemon.keying import ANYTHING, Keying
from openswan.engine.events import Interface
from openswan.klips.engine import Klips
from openswan.plane.commands import AddSa, Direction, Mode, SetEroute
from openswan.plane.orders import (
    Change,
    ClearEroutes,
    ClearSas,
    Debug,
    DropSa,
    ErouteOrder,
    Group,
    Limits,
    NewSa,
    Order,
    Wire,
    Wiring,
)
from openswan.policy.selector import FlowKey, Selector

ME, PEER = ip_address("192.0.2.1"), ip_address("192.0.2.2")
OUT: Any = parse_said("esp.200@192.0.2.2")
IN: Any = parse_said("esp.201@192.0.2.1")
FLOW = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"))


class Bench(Keying):
    """The tables of an engine, and what was logged and passed on."""

    def __init__(self) -> None:
        self.klips = Klips(workers=1)
        self.lines: list[str] = []
        self.passed: list[Order] = []
        self.clock = 100.0
        up = [
            Interface("lan", "", ((ip_address("10.1.0.1"), 24),), True, 1500),
            Interface("wan", "ipsec3", ((ME, 24), (ip_address("2001:db8::1"), 64)), True, 1500),
        ]
        super().__init__(
            self.klips,
            lambda text, serious: self.lines.append(text),
            lambda: up,
            self.passed.append,
            self.passed.append,
            lambda: self.clock,
        )

    def refuse(self, order: Order) -> str:
        with pytest.raises((KlipsError, ConfigError)) as error:
            self.carry_out(order)
        assert isinstance(error.value, IpsecError)
        return str(error.value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def sa(said: Any = OUT, **more: Any) -> NewSa:
    keyed = NewSa(said, None, "aes_cbc", bytes(16), "hmac_sha1_96", bytes(20), mode=Mode.TUNNEL)
    return replace(keyed, **more)


def test_direction_and_device_follow_from_the_addresses(bench: Bench) -> None:
    bench.carry_out(sa())
    bench.carry_out(sa(IN, src=PEER))
    out, inn = bench.klips.sas()
    assert (out.direction, str(out.src), out.device) == (Direction.OUT, "192.0.2.1", "ipsec3")
    assert (inn.direction, str(inn.src), inn.owner) == (Direction.IN, "192.0.2.2", "%manual")
    assert bench.refuse(sa()) == "SA already in use.  Delete old one first. (esp.200@192.0.2.2)"


def test_what_compression_alone_leaves_out_is_waited_for(bench: Bench) -> None:
    asked: list[object] = []
    bench.bare = asked.append
    cpi: Any = parse_said("comp.2000@192.0.2.1")
    plain = {"cipher": "deflate", "enc_key": b"", "integ": "", "auth_key": b"", "src": PEER}
    bench.carry_out(sa(cpi, mode=Mode.TRANSPORT, **plain))
    assert asked == []
    bench.carry_out(DropSa(cpi))
    bench.carry_out(sa(cpi, **plain))
    assert asked == [ME]


def test_hidetos_of_config_setup_holds_for_keys_by_hand_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[AddSa] = []
    monkeypatch.setattr(bench.klips, "execute", made.append)
    bench.carry_out(sa())
    bench.hide_tos = False
    bench.carry_out(sa())
    assert [each.copy_dscp for each in made if each.direction is Direction.OUT] == [False, True]


def test_sas_that_are_nowhere(bench: Bench) -> None:
    far: Any = parse_said("esp.200@192.0.2.9")
    assert "neither 192.0.2.8 nor 192.0.2.9 is an address of ours" in bench.refuse(sa(far, src=ip_address("192.0.2.8")))
    assert "name where it comes from with --src" in bench.refuse(sa(IN))
    bench.interfaces = lambda: []
    assert "no address of ours to send from" in bench.refuse(sa())
    assert not bench.manual


def test_deleting_sas(bench: Bench) -> None:
    assert bench.refuse(DropSa(OUT)) == "SA does not exist.  Cannot delete. (esp.200@192.0.2.2)"
    bench.carry_out(sa())
    bench.carry_out(DropSa(OUT))
    assert not bench.klips.sas() and not bench.manual and not bench.lines
    bench.klips.execute(AddSa(OUT, ME, Direction.OUT, "aes_gcm_16", bytes(20), owner="net", serial=4))
    bench.carry_out(sa(IN, src=PEER))
    bench.carry_out(ClearSas())
    assert not bench.klips.sas() and bench.lines == ['SA esp.200@192.0.2.2 of "net" #4 was deleted by hand']


def test_eroutes(bench: Bench) -> None:
    bench.carry_out(sa())
    add = ErouteOrder(Change.ADD, FLOW, OUT)
    assert bench.refuse(replace(add, change=Change.REPLACE)) == "eroute doesn't exist.  Can't replace."
    assert bench.refuse(ErouteOrder(Change.DELETE, FLOW)) == "eroute doesn't exist.  Can't delete."
    tun: Any = parse_said("tun.300@192.0.2.2")
    assert bench.refuse(replace(add, target=tun)) == "non-existant IPIP SA."
    assert "does not exist" in bench.refuse(replace(add, target=IN))
    bench.carry_out(add)
    assert bench.refuse(add) == "eroute already in use.  Delete old one first."
    (row,) = bench.klips.eroutes()
    assert (row.target, row.device) == (OUT, "ipsec3")
    bench.carry_out(replace(add, change=Change.REPLACE, target=Shunt.DROP, device="ipsec1"))
    (row,) = bench.klips.eroutes()
    assert (row.target, row.device) == (Shunt.DROP, "ipsec1")
    bench.carry_out(ErouteOrder(Change.DELETE, FLOW))
    assert not bench.klips.eroutes() and not bench.lines


def test_plutos_eroutes_can_be_taken_away_which_is_logged(bench: Bench) -> None:
    for _ in range(3):
        bench.klips.execute(SetEroute(FLOW, Shunt.TRAP, "ipsec0", "net", 4))
        bench.carry_out(
            [
                ErouteOrder(Change.DELETE, FLOW),
                ErouteOrder(Change.REPLACE, FLOW, Shunt.PASS),
                ClearEroutes(),
            ][len(bench.lines)]
        )
    assert [line.rpartition("was ")[2] for line in bench.lines] == [
        "deleted by hand",
        "replaced by hand",
        "deleted by hand",
    ]
    assert '"net" #4' in bench.lines[0] and not bench.klips.eroutes()


def selectors(bench: Bench, said: Any = IN) -> Any:
    return bench.klips.selectors(said)


def test_inbound_policy(bench: Bench) -> None:
    bench.carry_out(sa())
    bench.carry_out(sa(IN, src=PEER))
    assert selectors(bench) == ANYTHING
    back = FLOW.reversed()
    add = ErouteOrder(Change.ADD_IN, back, IN)
    assert "is outbound" in bench.refuse(replace(add, target=OUT))
    assert "Can't replace" in bench.refuse(replace(add, change=Change.REPLACE_IN))
    bench.carry_out(add)
    assert bench.refuse(add) == "eroute already in use.  Delete old one first."
    assert selectors(bench) == ((Selector.of(back.src), Selector.of(back.dst)),)
    other: Any = parse_said("esp.203@192.0.2.1")
    bench.carry_out(sa(other, src=PEER))
    bench.carry_out(replace(add, change=Change.REPLACE_IN, target=other))
    assert selectors(bench) == ANYTHING and selectors(bench, other) != ANYTHING
    bench.carry_out(ErouteOrder(Change.DELETE_IN, back))
    assert selectors(bench, other) == ANYTHING
    assert bench.refuse(ErouteOrder(Change.DELETE_IN, back)) == "eroute doesn't exist.  Can't delete."
    bench.carry_out(add)
    bench.carry_out(DropSa(IN))
    assert not bench.policies


def test_groups_want_what_they_name(bench: Bench) -> None:
    assert "esp.200@192.0.2.2 does not exist.  Cannot group." in bench.refuse(Group((OUT,)))


def test_a_group_shows_and_breaks_when_one_leaves(bench: Bench) -> None:
    tun: Any = parse_said("tun.200@192.0.2.2")
    bench.carry_out(NewSa(tun, ME))
    bench.carry_out(sa(mode=Mode.TRANSPORT))
    bench.carry_out(Group((tun, OUT)))
    assert [view.group for view in bench.klips.sas()] == [(tun, OUT)] * 2
    bench.carry_out(ErouteOrder(Change.ADD, FLOW, tun))
    bench.carry_out(Group((tun,)))
    assert [view.group for view in bench.klips.sas()] == [()] * 2


def test_limits(bench: Bench) -> None:
    bench.carry_out(sa(limits=Limits(soft_addtime=5, hard_addtime=10)))
    bench.carry_out(sa(IN, src=PEER, limits=Limits(hard_usetime=1)))
    bench.tick()
    bench.clock += 5
    bench.tick()
    bench.tick()
    assert bench.lines == ["SA esp.200@192.0.2.2 has reached its soft limit"]
    bench.clock += 5
    bench.tick()
    assert bench.lines[1:] == ["SA esp.200@192.0.2.2 has reached its hard limit: deleted"]
    assert [view.said for view in bench.klips.sas()] == [IN] and set(bench.timed) == {IN}
    assert bench.expired(IN, True) and not bench.klips.sas() and not bench.timed
    assert not bench.expired(parse_said("esp.7777@192.0.2.1"), True)  # type: ignore[arg-type]


def test_what_is_not_of_the_tables_is_passed_on(bench: Bench) -> None:
    orders: list[Any] = [Wire(Wiring.CLEAR), Debug(("esp",))]
    for order in orders:
        bench.carry_out(order)
    assert bench.passed == orders
