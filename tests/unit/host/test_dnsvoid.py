# SPDX-License-Identifier: GPL-2.0-or-later
"""Names below which there is nothing: what that goes for, for how long, and what is asked to find them."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.host.dnsvoid import Voids, above, worth_asking
from openswan.policy.gateways import reverse_name


def test_all_below_a_name_and_nothing_beside_it() -> None:
    voids = Voids()
    voids.add("128.100.in-addr.arpa", 50.0)
    assert voids.covering("7.3.128.100.in-addr.arpa", 20.0) == ("128.100.in-addr.arpa", 30.0)
    assert voids.covering("129.100.in-addr.arpa", 20.0) is None, "a name of the same length"
    assert voids.covering("7.3.129.100.in-addr.arpa", 20.0) is None
    assert voids.covering("128.100.in-addr.arpa", 20.0) is None, "the name itself is the cache's"
    assert voids.covering("7.3.128.100.in-addr.arpa", 50.0) is None, "its time is over"
    voids.clear()
    assert len(voids) == 0 and voids.covering("7.3.128.100.in-addr.arpa", 20.0) is None


def test_the_one_not_asked_for_longest_goes_first() -> None:
    voids = Voids(most=2)
    voids.add("a.example", 9.0)
    voids.add("b.example", 9.0)
    assert voids.covering("x.a.example", 1.0)
    voids.add("c.example", 9.0)
    assert [voids.covering(f"x.{name}.example", 1.0) is not None for name in "abc"] == [True, False, True]


def test_names_above_nearest_first() -> None:
    assert list(above("7.3.in-addr.arpa")) == ["3.in-addr.arpa", "in-addr.arpa", "arpa"]


def test_the_nets_around_an_address() -> None:
    assert worth_asking(reverse_name(ip_address("100.128.3.7"))) == (
        "3.128.100.in-addr.arpa",
        "128.100.in-addr.arpa",
        "100.in-addr.arpa",
    )
    six = worth_asking(reverse_name(ip_address("2001:db8:1:2::7")))
    assert [name.count(".") - 1 for name in six] == [16, 14, 12, 8], "nibbles: /64, /56, /48, /32"
    assert six[3] == "8.b.d.0.1.0.0.2.ip6.arpa"
    assert worth_asking("mail.example.org") == () and worth_asking("3.128.100.in-addr.arpa") == ()
