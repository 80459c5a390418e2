# SPDX-License-Identifier: GPL-2.0-or-later
"""Who an end is."""

from dataclasses import replace
from ipaddress import ip_address

from openswan.engine.identities import identity_of, subject
from openswan.policy.identity import FROM_CERT, parse_identity
from tests.sim.pair import WEST, end
from tests.unit.engine.test_policies import certificate


def test_identities_default_to_the_certificate_then_the_address() -> None:
    der = certificate("gw")
    assert identity_of(end(WEST), ip_address(WEST)) == parse_identity(WEST)
    assert identity_of(end(WEST, cert=der), ip_address(WEST)) == subject(der) == parse_identity("CN=gw")
    assert identity_of(replace(end(WEST, cert=der), id=FROM_CERT), ip_address(WEST)) == subject(der)
    assert identity_of(replace(end("%any"), id=FROM_CERT), None) == FROM_CERT
    assert identity_of(end("%any"), None) is None
    assert subject(b"junk") is None
