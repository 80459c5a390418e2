# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests about loading, and what is wrong with some; what they do is in test_loading.py."""

from __future__ import annotations

from dataclasses import replace

from openswan.config.plain import connection_to_plain
from tests.sim.net import Net
from tests.sim.pair import WEST, SimHost, tunnel


def test_bad_requests_are_refused_in_one_line() -> None:
    it = SimHost(Net(0), "west", WEST)
    incomplete = "attempt to load incomplete connection"
    for verb in ("add", "replace"):
        ((code, text),) = it.say(verb, connection={"name": 3})
        assert code == 37 and text.startswith(incomplete)
    ((code, text),) = it.say("add", connection=connection_to_plain(replace(tunnel()[0], name="a\x1bb")))
    assert code == 37 and text == f"{incomplete}: name is not printable"
    for arguments in ({}, {"names": "a"}, {"names": [1]}):
        assert (
            it.say("retain", **arguments)
            == it.say("prune", name="a", **arguments)
            == [(37, "a list of names is wanted")]
        )
    assert not it.pluto.core.conns.named


def test_a_name_is_taken_once() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.load(tunnel()[0])
    plain = connection_to_plain(tunnel()[0])
    assert it.say("add", connection=plain) == [(20, 'attempt to redefine connection "net-net"')]
    assert it.say("add", connection=plain, replace=True)[0][0] == 2
    assert it.say("add", connection=plain, renew=True) == [(0, '"net-net" is as it was')]
