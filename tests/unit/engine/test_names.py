# SPDX-License-Identifier: GPL-2.0-or-later
"""Words of the classic listings."""

from dataclasses import replace

from openswan.engine.conn import Conn
from openswan.engine.names import V2State, connection_policy
from openswan.policy.connection import Auth, ShuntPolicy
from tests.sim.pair import tunnel
from tests.sim.v1 import v1_tunnel


def test_policy_words_in_classic_order() -> None:
    it = Conn(tunnel()[0])
    assert connection_policy(it) == "PSK+ENCRYPT+TUNNEL+PFS+!IKEv1+IKEv2ALLOW+IKEv2Init"
    it.wanted = True
    assert "+UP+" in connection_policy(it)


def test_policy_words_of_ikev1() -> None:
    policy = v1_tunnel(overlap_ip=True, aggressive=True)[0]
    assert connection_policy(Conn(policy)) == "PSK+ENCRYPT+TUNNEL+PFS+AGGRESSIVE+OVERLAPIP"
    user = replace(policy, aggressive=False, left=replace(policy.left, xauth_client=True, ask_addresses=(4,)))
    assert connection_policy(Conn(user)) == "PSK+ENCRYPT+TUNNEL+PFS+XAUTH+MODECFGPULL+OVERLAPIP"
    assert "MODECFGPULL" not in connection_policy(Conn(replace(user, config_pull=False)))


def test_shunts_and_failure_shunts() -> None:
    policy = tunnel(auth=Auth.NEVER, prospective=ShuntPolicy.DROP)[0]
    assert connection_policy(Conn(policy)) == "TUNNEL+DROP+NEVER_NEGOTIATE"
    policy = tunnel(failure_shunt=ShuntPolicy.PASS, rekey=False, pfs=False, overlap_ip=True)[0]
    words = connection_policy(Conn(policy)).split("+")
    assert {"failurePASS", "DONTREKEY", "OVERLAPIP"} <= set(words) and "PFS" not in words
    assert "RSASIG" in connection_policy(Conn(replace(policy, auth=Auth.RSASIG | Auth.ECDSA)))


def test_state_numbers_operators_know() -> None:
    assert [100 + s for s in (V2State.PARENT_I1, V2State.PARENT_I2)] == [133, 134]
    assert str(V2State.PARENT_I3) == "STATE_PARENT_I3"
    assert all(state.story for state in V2State)
