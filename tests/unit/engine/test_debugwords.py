# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of debugging."""

from ipaddress import ip_address
from typing import get_args

from openswan.base.debugclasses import CLASSES
from openswan.engine import effects as do
from openswan.engine import events as ev
from openswan.engine.debugwords import EFFECTS, EVENTS, OF_MACHINES, REQUESTS
from openswan.ike import effects as ike
from openswan.ike.v1 import effects as v1
from openswan.plane import events as plane
from openswan.policy.connection import XauthBy

OF_THE_WIRE = {ev.Datagram, ev.Datagrams, plane.IkeDatagram, do.SendDatagram}
"""Told octet by octet and payload by payload."""
UNTOLD = {ev.InterceptionSeen, ev.GuardSeen, plane.NextHopWanted, plane.EspLoad, do.WhackLine, do.WhackDone, do.Log}
"""Told elsewhere, or about descriptors."""


def test_everything_pluto_is_told_and_orders_has_a_row() -> None:
    assert set(get_args(ev.EngineEvent)) - set(EVENTS) == (OF_THE_WIRE | UNTOLD) & set(get_args(ev.EngineEvent))
    assert set(get_args(do.Effect)) - set(EFFECTS) == (OF_THE_WIRE | UNTOLD) & set(get_args(do.Effect))
    told = set(get_args(ike.Effect)) | set(get_args(v1.Effect))
    assert told - set(OF_MACHINES) == {ike.Send, ike.Log}


def test_rows_name_classes_that_exist() -> None:
    for row in (*EVENTS.values(), *EFFECTS.values(), *OF_MACHINES.values(), *REQUESTS.values()):
        assert set(row[0].split()) <= set(CLASSES)


def test_what_a_request_brings_is_not_told() -> None:
    _, words = EVENTS[ev.WhackRequest]
    asked = ev.WhackRequest(1, "initiate", {"name": "net-net", "xauthpass": "secret"})
    assert words(asked) == "whack asks: initiate 'net-net'"
    _, words = EFFECTS[do.Login]
    login = do.Login(1, "net-net", "fred", b"secret", ip_address("192.0.2.1"), XauthBy.FILE)
    assert words(login) == "the password of fred is to be judged"
