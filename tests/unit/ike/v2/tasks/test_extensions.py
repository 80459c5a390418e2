# SPDX-License-Identifier: GPL-2.0-or-later
"""What is announced in IKE_SA_INIT, and counts only when both ends say it."""

from __future__ import annotations

import pytest

from openswan.ike.v2.tasks import extensions
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import Pair, ike_policy
from tests.unit.ike.v2.tasks.test_intermediate import HYBRID

INTERMEDIATE = NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED


def said(it: Pair, name: str) -> set[NotifyType]:
    datagram = next(d for d in it.log if d.data[18] == 34 and d.sender.name == name)
    return {n.kind for n in Message.parse(datagram.data).all(Notify)}


@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
def test_only_what_both_know(a: bool, b: bool) -> None:
    it = Pair(ike_policy("@a", "@b", intermediate=a), ike_policy("@b", "@a", intermediate=b)).up()
    assert (INTERMEDIATE in said(it, "a")) == a and (INTERMEDIATE in said(it, "b")) == (a and b)
    assert it.a.sa.intermediate == it.b.sa.intermediate == (a and b)


def test_an_additional_key_exchange_needs_it() -> None:
    [notify] = extensions.request(ike_policy(proposals=(HYBRID,)))
    assert isinstance(notify, Notify) and notify.kind == INTERMEDIATE
    assert extensions.request(ike_policy()) == []
