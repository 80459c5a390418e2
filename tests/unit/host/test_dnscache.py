# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of answers: TTLs, its bound, what goes first."""

from openswan.host.dnscache import DnsCache
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus


def answer(name: str, ttl: float = 60.0, kind: str = "TXT") -> DnsAnswer:
    return DnsAnswer(name, kind, DnsStatus.ABSENT, ttl=ttl)


def test_an_answer_lives_as_long_as_its_ttl() -> None:
    cache = DnsCache()
    cache.put(answer("a"), 100.0)
    found = cache.get("a", "TXT", 130.0)
    assert found is not None and found.ttl == 30.0
    assert cache.get("a", "KEY", 130.0) is None
    assert cache.get("a", "TXT", 160.0) is None and len(cache) == 0


def test_one_without_a_ttl_is_not_kept_and_ends_an_older_one() -> None:
    cache = DnsCache()
    cache.put(answer("a"), 0.0)
    cache.put(answer("a", 0.0), 1.0)
    assert cache.get("a", "TXT", 1.0) is None


def test_the_one_not_asked_for_longest_goes_first() -> None:
    cache = DnsCache(3)
    for name in "abc":
        cache.put(answer(name), 0.0)
    assert cache.get("a", "TXT", 1.0)
    cache.put(answer("d"), 1.0)
    assert [name for name in "abcd" if cache.get(name, "TXT", 2.0)] == ["a", "c", "d"]
    cache.clear()
    assert len(cache) == 0
