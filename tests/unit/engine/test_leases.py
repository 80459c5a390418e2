# SPDX-License-Identifier: GPL-2.0-or-later
"""Leases: once each, the same again for an identity, released and used again, bounded."""

from __future__ import annotations

import random
from ipaddress import ip_address

from openswan.base.address import Address
from openswan.engine import leases as module
from openswan.engine.leases import Leases
from openswan.policy.modecfg import Pool

SMALL = Pool(ip_address("10.9.0.1"), ip_address("10.9.0.3"))


def test_each_gets_its_own_and_the_same_again() -> None:
    book = Leases()
    first = [book.take((SMALL,), name, serial) for serial, name in enumerate("abc", 1)]
    assert [str(a) for a in first] == ["10.9.0.1", "10.9.0.2", "10.9.0.3"]
    assert book.take((SMALL,), "d", 4) is None, "used up"
    book.release(2)
    assert book.take((SMALL,), "b", 5) == first[1], "its own again"
    book.release(5)
    assert book.take((SMALL,), "d", 6) == first[1], "what is released serves others before nobody gets any"
    assert book.take((SMALL,), "b", 7) is None


def test_an_identity_twice_has_one_address_until_the_last_one_goes() -> None:
    book = Leases()
    assert book.take((SMALL,), "a", 1) == book.take((SMALL,), "a", 2)
    book.release(1)
    assert book.books[SMALL].in_use == 1
    book.move(2, 9)
    book.release(2)
    assert book.books[SMALL].in_use == 1
    book.release(9)
    assert book.books[SMALL].in_use == 0 and list(book.books[SMALL].released) == ["a"]
    book.release(9)


def test_the_one_released_longest_ago_is_given_first() -> None:
    book = Leases()
    for serial, name in enumerate("abc", 1):
        book.take((SMALL,), name, serial)
    for serial in (3, 1, 2):
        book.release(serial)
    assert str(book.take((SMALL,), "x", 4)) == "10.9.0.3"
    assert str(book.take((SMALL,), "y", 5)) == "10.9.0.1"


def test_what_nobody_had_is_given_after_what_was_never_given_longest_free_first() -> None:
    """Serials own the leases of peers without an identity: whoever had one may wish for it again."""
    book, pool = Leases(), Pool(ip_address("10.9.0.1"), ip_address("10.9.0.4"))
    for serial in (1, 2, 3):
        book.take((pool,), serial, serial)
    for serial in (3, 2):
        book.release(serial)
    assert [str(book.take((pool,), n, n)) for n in (4, 5, 6)] == ["10.9.0.4", "10.9.0.3", "10.9.0.2"]
    assert book.take((pool,), 7, 7) is None


def test_a_wish_is_granted_when_it_is_nobodys() -> None:
    book = Leases()
    assert str(book.take((SMALL,), "a", 1, ip_address("10.9.0.2"))) == "10.9.0.2"
    assert str(book.take((SMALL,), "b", 2, ip_address("10.9.0.2"))) == "10.9.0.1"
    assert str(book.take((SMALL,), "c", 3, ip_address("192.0.2.1"))) == "10.9.0.3"


def test_busy_addresses_and_overlapping_pools() -> None:
    book, other = Leases(), Pool(ip_address("10.9.0.2"), ip_address("10.9.0.9"))
    ours = {ip_address("10.9.0.1")}
    assert str(book.take((SMALL,), "a", 1, None, ours.__contains__)) == "10.9.0.2"
    assert str(book.take((other,), "b", 2)) == "10.9.0.3"
    assert book.take((SMALL,), "c", 3, None, ours.__contains__) is None
    ours.add(ip_address("10.9.0.3"))
    assert str(book.take((other,), "b", 2, None, ours.__contains__)) == "10.9.0.4", "it has become somebody else's"


def test_what_is_remembered_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "MOST_REMEMBERED", 5)
    book, wide = Leases(), Pool(ip_address("2001:db8::1"), ip_address("2001:db8::ffff:ffff:ffff:ffff"))
    for serial in range(100):
        book.take((wide,), f"peer {serial}", serial)
        book.release(serial)
    (it,) = book.books.values()
    assert len(it.released) == len(it.owners) == len(book.given) == 5 and not book.held
    assert it.fresh + len(it.returned) < 20


def test_random_comings_and_goings_never_give_an_address_twice() -> None:
    rng, book = random.Random(7), Leases()
    pools = (SMALL, Pool(ip_address("10.9.0.2"), ip_address("10.9.0.12")))
    holding: dict[int, tuple[str, object]] = {}
    for serial in range(4000):
        if rng.random() < 0.55:
            owner = f"peer {rng.randrange(20)}"
            wish = ip_address(f"10.9.0.{rng.randrange(20)}") if rng.random() < 0.3 else None
            address = book.take(pools if rng.random() < 0.5 else pools[1:], owner, serial, wish)
            if address is None:
                continue
            assert all(other == owner for other, taken in holding.values() if taken == address), serial
            holding[serial] = (owner, address)
        elif holding:
            gone = rng.choice(list(holding))
            del holding[gone]
            book.release(gone)
    for book_ in book.books.values():
        assert all(lease.holders for owner, lease in book_.owners.items() if owner not in book_.released)


def test_who_is_behind_one_address_has_a_share() -> None:
    """A quarter of a large pool, sixteen of a small one; of IPv6 a /64 is one address."""
    pools = (Pool(ip_address("10.9.0.0"), ip_address("10.9.0.127")),)
    book = Leases()
    box, other = ip_address("192.0.2.1"), ip_address("192.0.2.2")

    def ask(holder: int, origin: Address = box, given: tuple[Pool, ...] = pools) -> bool:
        return book.crowded(given, origin, holder) is None and book.take(given, holder, holder) is not None

    assert [ask(n) for n in range(40)] == [True] * 32 + [False] * 8 and book.refused == 8
    assert ask(50, other) and ask(3), "another one, and who has one already"
    book.move(7, 60)
    book.release(7)
    assert not ask(70), "it was replaced"
    book.release(60)
    assert ask(70) and not ask(71)
    for holder in (*range(32), 50, 70):
        book.release(holder)
    assert not book.crowds and not book.held
    book.release(71)
    sixes = [ip_address(f"2001:db8::{n:x}") for n in range(1, 20)]
    few = (SMALL, Pool(ip_address("10.9.1.0"), ip_address("10.9.1.40")))
    assert [ask(200 + n, each, few) for n, each in enumerate(sixes)] == [True] * 16 + [False] * 3
    assert ask(300, ip_address("2001:db8:0:1::1"), few)


def test_shares_come_out_right_after_any_sequence() -> None:
    rng = random.Random(4)
    pools = (Pool(ip_address("10.9.0.0"), ip_address("10.9.0.99")),)
    boxes = [ip_address(f"192.0.2.{n}") for n in range(4)]
    book, where = Leases(), dict[int, Address]()
    for serial in range(3000):
        if rng.random() < 0.6:
            box = rng.choice(boxes[: 2 if serial < 1500 else 4])
            mine = sum(each == box for each in where.values())
            free = len(where) < 100
            got = book.crowded(pools, box, serial) is None and book.take(pools, serial, serial) is not None
            assert got is (mine < 25 and free)
            where |= {serial: box} if got else {}
            if not got:
                book.release(serial)
        elif where:
            old = rng.choice(list(where))
            if rng.random() < 0.3:
                book.move(old, 10_000 + serial)
                where[10_000 + serial] = where.pop(old)
            book.release(old)
            where.pop(old, None)
        assert sum(book.crowds.values()) == len(where) == len(book.held) == len(book.origins)
