# SPDX-License-Identifier: GPL-2.0-or-later
"""Authentication methods: which end proves what, and who is asked for a password."""

from __future__ import annotations

from openswan.ike.v1.methods import HYBRID, METHODS, WITH_XAUTH
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.numbers import AuthMethod


def test_each_end_of_each_method() -> None:
    for number, method in METHODS.items():
        assert {method.initiator, method.responder} <= {Hash, Sig}
        assert not (method.asks_initiator and method.asks_responder)
        assert method.is_client(True) == method.is_server(False) == method.asks_initiator
        assert method.is_client(False) == method.is_server(True) == method.asks_responder
        assert method.by_secret == (number in (1, 65001, 65002))
        asked = method.asks_initiator or method.asks_responder
        assert asked == (number > AuthMethod.ECDSA_521)


def test_only_the_client_of_a_hybrid_method_proves_nothing() -> None:
    for number, method in METHODS.items():
        for initiator in (True, False):
            assert method.proves_nothing(initiator) == (number in HYBRID and method.is_client(initiator))


def test_the_same_with_xauth() -> None:
    for plain, (first, second) in WITH_XAUTH.items():
        assert METHODS[first].by_secret == METHODS[second].by_secret == METHODS[plain].by_secret
        assert METHODS[first].is_client(True) and METHODS[second].is_client(False)
