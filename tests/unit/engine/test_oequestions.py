# SPDX-License-Identifier: GPL-2.0-or-later
"""Who the DNS is asked about first, and how many at a time."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.base.address import Address
from openswan.engine.oeevents import Pair
from openswan.engine.oequestions import LOST, Questions

HERE = ip_address("10.1.0.1")


def there(n: int) -> Address:
    return ip_address(f"10.2.0.{n}")


def asked(questions: Questions, now: float = 0.0) -> list[Address]:
    found = []
    while (each := questions.next(now)) is not None:
        found.append(each)
    return found


def test_so_many_at_a_time_and_the_newest_of_those_that_wait_is_next() -> None:
    questions = Questions(at_once=2)
    for n in range(1, 6):
        assert questions.want(Pair(HERE, there(n)), 0.0) is None
        if n == 2:
            assert asked(questions) == [there(2), there(1)]
    assert asked(questions) == []
    assert list(questions.answered(there(1))) == [Pair(HERE, there(1))]
    assert asked(questions) == [there(5)]


def test_a_destination_is_asked_about_once_for_all_its_pairs() -> None:
    questions = Questions()
    pairs = [Pair(ip_address(f"10.1.0.{n}"), there(1)) for n in (1, 2)]
    for pair in pairs:
        questions.want(pair, 0.0)
        assert asked(questions) == ([there(1)] if pair is pairs[0] else [])
    assert list(questions.answered(there(1))) == pairs and not questions.wanted


def test_what_nobody_wants_any_more_is_not_asked() -> None:
    questions = Questions(at_once=1)
    for n in (1, 2):
        questions.want(Pair(HERE, there(n)), 0.0)
        asked(questions)
    questions.unwant(Pair(HERE, there(1)))
    questions.unwant(Pair(HERE, there(2)))
    questions.want(Pair(HERE, there(1)), 0.0)
    assert not questions.answered(there(3)) and asked(questions) == [], "its answer is under way already"
    assert list(questions.answered(there(1))) == [Pair(HERE, there(1))] and asked(questions) == []


def test_where_too_many_wait_the_one_that_waited_longest_is_given_up() -> None:
    questions = Questions(at_once=1, most_waiting=2)
    given_up = []
    for n in range(1, 5):
        given_up.append(questions.want(Pair(HERE, there(n)), 0.0))
        asked(questions)
    assert given_up == [None, None, None, there(2)]


def test_an_answer_that_never_comes_does_not_keep_its_place() -> None:
    questions = Questions(at_once=1)
    questions.want(Pair(HERE, there(1)), 0.0)
    assert asked(questions) == [there(1)]
    questions.want(Pair(HERE, there(2)), 1.0)
    assert asked(questions, LOST) == [] and asked(questions, LOST + 0.1) == [there(2)]


def test_whose_answer_never_came_is_asked_about_again_for_the_next_pair() -> None:
    questions = Questions(at_once=1)
    first, second, third = (Pair(ip_address(f"10.1.0.{n}"), there(1)) for n in (1, 2, 3))
    questions.want(first, 0.0)
    assert asked(questions) == [there(1)]
    questions.want(second, 1.0)
    questions.want(Pair(HERE, there(2)), 1.0)
    assert asked(questions, LOST + 1.0) == [there(2)], "the other one is given up"
    questions.want(third, LOST + 2.0)
    questions.answered(there(2))
    assert asked(questions, LOST + 2.0) == [there(1)]
    assert list(questions.answered(there(1))) == [first, second, third]
