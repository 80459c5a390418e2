# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding what a path takes: the search by itself, two daemons on a narrow link, and routers that lie."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from openswan.engine.events import Interface, NetworkState, PathTooBig
from openswan.engine.pathmtu import AGAIN, GRAIN, LEAST, MOST, PathMtus, Search
from openswan.engine.statedb import ChildState
from openswan.plane.commands import Direction
from tests.sim.pair import EAST, WEST, Pair, SimHost, conn, end, make_pair


def settle(search: Search, real: int, block: int = 1) -> int:
    """Let it ask until it is content; how many exchanges that took."""
    for exchanges in range(40):
        sizes = search.sizes()
        if not sizes:
            return exchanges
        assert list(sizes) == sorted(set(sizes), reverse=True) and sizes[-1] == search.floor, sizes
        assert max(sizes) <= min(search.top, MOST)
        fit = [size for size in sizes[:-1] if size - size % block <= real]
        found = fit[0] if fit else sizes[-1]
        at = sizes.index(found)
        search.result(found - found % block if fit else found, sizes[at - 1] if at else 0)
    raise AssertionError(search)


@pytest.mark.parametrize("seed", range(40))
def test_the_search_ends_near_the_truth(seed: int) -> None:
    rng = Random(seed)
    version = rng.choice((4, 6))
    top = rng.choice((1500, 1500, 9000, 65535, 1400))
    real = rng.randint(LEAST[version], top)
    search = Search(version, top)
    settle(search, real, rng.choice((1, 16)))
    least = min(real, MOST) - GRAIN - 16
    assert least <= search.good <= max(real, search.floor)


@pytest.mark.parametrize(("top", "real", "most"), [(1500, 1500, 1), (1500, 1492, 6), (9000, 9000, 1), (9000, 1500, 6)])
def test_common_paths_need_few_questions(top: int, real: int, most: int) -> None:
    search = Search(4, top)
    assert settle(search, real) <= most and search.good >= real - GRAIN


def test_a_path_that_narrows_is_followed_down_and_up_again() -> None:
    search = Search(6, 1500)
    settle(search, 1500)
    assert search.good == 1500
    search.result(1280, 1500)
    settle(search, 1400)
    assert 1384 <= search.good <= 1400
    search.age()
    assert settle(search, 1400) <= 2
    search.age()
    settle(search, 1500)
    assert search.good == 1500


def test_a_search_cut_short_proves_nothing_less() -> None:
    search = Search(4, 1500, good=1400, bad=1500)
    search.result(576, 0)
    assert (search.good, search.bad) == (1400, 1500)


def pair(narrow: int = 65535, **more: object) -> Pair:
    made = make_pair(1)
    made.net.narrow = narrow
    left, right = end(WEST, "10.1.0.0/24", "@west"), end(EAST, "10.2.0.0/24", "@east")
    made.west.load(conn("net", left, right, **more))  # type: ignore[arg-type]
    made.east.load(conn("net", left, right, **more))  # type: ignore[arg-type]
    made.west.request("initiate", name="net")
    assert made.run(10.0, made.west.up)
    made.run(20.0)
    return made


def known(host: SimHost) -> int:
    return max(host.klips.mtus.values(), default=0)


def paths(host: SimHost) -> PathMtus:
    return host.pluto.brain.pathmtus


def child(host: SimHost) -> ChildState:
    return next(iter(host.pluto.core.states.children.values()))


def claim(host: SimHost, mtu: int, **more: object) -> PathTooBig:
    """What a router on the path would say about an ESP packet of this host."""
    sa = child(host)
    ports = (sa.local.port, sa.remote.port) if sa.encap else (0, 0)
    return replace(PathTooBig(sa.local.address, sa.remote.address, mtu, sa.spi_out, ports), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("narrow", [65535, 1499, 1400, 1300, 600])
def test_both_ends_find_it(narrow: int) -> None:
    made = pair(narrow)
    for host in (made.west, made.east):
        assert min(narrow, 1500) - GRAIN - 16 <= known(host) <= narrow
        host.sane()
    first = next(sa for sa in made.west.klips.sas.values() if sa.direction is Direction.OUT)
    assert first.unproven and first.mtu == 0


def test_a_new_sa_on_a_known_path_starts_with_what_is_known() -> None:
    made = pair(1400)
    found = known(made.west)
    old = child(made.west)
    made.west.pluto.brain.lifetimes.rekey_child(old)
    made.west.post(claim(made.west, 65535))
    made.run(made.net.now + 5)
    new = max(made.west.pluto.core.states.children.values(), key=lambda each: each.serial)
    assert new is not old
    sa = made.west.klips.sas[new.said_out]
    assert (sa.mtu, sa.unproven) == (found, False)


def test_it_is_tried_again_after_ten_minutes() -> None:
    made = pair(1400)
    made.net.narrow = 65535
    made.run(made.net.now + AGAIN / 2)
    assert known(made.west) <= 1400
    made.run(made.net.now + AGAIN)
    assert known(made.west) == 1500
    made.net.narrow = 1300
    made.run(made.net.now + AGAIN + 20)
    assert 1300 - GRAIN <= known(made.west) <= 1300
    assert made.west.up() and not made.west.klips.refusals


def test_a_router_is_believed_at_once_and_then_checked() -> None:
    made = pair()
    made.net.narrow = 1400
    made.west.post(claim(made.west, 1400))
    assert known(made.west) == 1400
    made.run(made.net.now + 20)
    assert known(made.west) == 1400 and (paths(made.west).taken, paths(made.west).forged) == (1, 0)


def test_a_lie_lasts_for_a_moment_and_its_author_is_not_heard_again() -> None:
    made = pair()
    made.west.post(claim(made.west, 700))
    assert known(made.west) == 700
    made.run(made.net.now + 5)
    assert known(made.west) == 1500 and paths(made.west).forged == 1
    made.west.post(claim(made.west, 700))
    assert known(made.west) == 1500


def test_forged_errors_change_nothing() -> None:
    made = pair()
    true = claim(made.west, 1300)
    sa = child(made.west)
    lies = (
        replace(true, spi=sa.spi_in),
        replace(true, spi=sa.spi_out ^ 1),
        replace(true, remote=sa.local.address),
        replace(true, local=sa.remote.address),
        replace(true, ports=(7, 8)),
        replace(true, spi=0, ike_spis=bytes(16), ports=(500, 500)),
    )
    for lie in lies:
        made.west.post(lie)
    assert known(made.west) == 1500 and paths(made.west).forged == len(lies)
    made.west.post(replace(true, mtu=0))
    assert known(made.west) == LEAST[4]


def test_an_error_about_our_own_ike_message_counts() -> None:
    made = pair()
    machine = child(made.west).ike.machine
    ends = (machine.local.port, machine.remote.port)
    made.west.post(claim(made.west, 1300, spi=0, ports=ends, ike_spis=machine.spi_i + machine.spi_r))
    assert known(made.west) == 1300


def test_an_interface_that_narrows_and_widens() -> None:
    made = pair()
    state = made.west.network()
    for mtu in (1300, 1450):
        interfaces = tuple(replace(each, mtu=mtu) for each in state.interfaces)
        made.west.post(NetworkState(interfaces, state.defaults))
        assert known(made.west) <= 1500
        made.run(made.net.now + 5)
        assert known(made.west) == mtu
    assert isinstance(state.interfaces[0], Interface)


def test_nobody_is_asked_who_does_not_take_fragments_or_shall_not_be() -> None:
    made = pair(path_mtu=False)
    assert not made.west.klips.mtus
    assert not any(sa.unproven for sa in made.west.klips.sas.values())


def test_a_path_nobody_uses_is_forgotten() -> None:
    made = pair()
    made.west.request("terminate", name="net")
    made.run(made.net.now + AGAIN + 1)
    assert not paths(made.west).paths and not paths(made.west).probes
