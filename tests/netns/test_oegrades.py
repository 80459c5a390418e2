# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet without DNS: a few lines of policy, the same on every host, and what each kind of proof is worth.

west =======wan======= east
192.0.2.1        192.0.2.2
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab, wait_for
from tests.netns.traffic import ping

HEAD = "version 2.0\nconfig setup\n\toe=yes\n\n"
FLEET = "192.0.2.0/24\n"
CERTIFICATE = ("also=private", "authby=ecdsa", "leftcert=host.pem")
SECRET = ("also=private", "authby=secret")
NOTHING = ("also=private", "authby=null")


def member(
    lab: Lab, name: str, lines: Sequence[str], authority: Authority | None = None, also: tuple[str, ...] = ()
) -> Gateway:
    """One host of the fleet: its ipsec.conf is everybody's, only key and certificate are its own."""
    conf = HEAD + "conn fleet\n" + "".join(f"\t{line}\n" for line in lines)
    secrets = ": ECDSA host.pem\n" if authority else ': PSK "what the fleet shares"\n'
    gateway = Gateway(lab[name], conf, secrets)
    (gateway.dir / "ipsec.d/policies/fleet").write_text(FLEET)
    if authority is not None:
        mine = authority.issue(f"{name}.example", also=also)
        (gateway.dir / "ipsec.d/cacerts/fleet.pem").write_bytes(authority.pem)
        (gateway.dir / "ipsec.d/certs/host.pem").write_bytes(mine.cert)
        key = gateway.dir / "ipsec.d/private/host.pem"
        key.touch(0o600)
        key.write_bytes(mine.key)
    gateway.start()
    wait_for("the line", lambda: "%trap" in gateway.ipsec("eroute").stdout, 8)
    return gateway


def grade(gateway: Gateway) -> str:
    [pair] = gateway.json("auto", "--status")["pairs"]
    return str(pair["grade"])


def met(lab: Lab, east: Gateway, west: Gateway, worth: str, risk: str) -> None:
    with Capture(lab.west) as wire:
        assert ping(lab.west, "192.0.2.2", 3, wait=5).received == 3, west.log() + east.log()
        assert ping(lab.east, "192.0.2.1", 1, wait=2).received == 1
        assert_quiet(wire)
    assert grade(west) == grade(east) == worth
    assert f"grade {worth}; {risk}" in west.status()
    explained = west.ipsec("eroute", "--match", "192.0.2.1", "192.0.2.2").stdout
    assert "pair    192.0.2.2: encrypted since" in explained and f"risk    {risk}" in explained


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("lines", "worth", "risk"),
    [
        (NOTHING, "null", "who sits on the path can be the peer"),
        (SECRET, "group", "every member of the group can be the peer"),
    ],
    ids=["nothing", "secret"],
)
def test_a_fleet_that_shares_a_secret_or_nothing(lab: Lab, lines: Sequence[str], worth: str, risk: str) -> None:
    east, west = (member(lab, name, lines) for name in ("east", "west"))
    met(lab, east, west, worth, risk)


@pytest.mark.parametrize("named", [True, False], ids=["address", "name"])
def test_a_fleet_of_one_authority(lab: Lab, named: bool) -> None:
    """A certificate that bears the host's address is worth more than one that bears a name of its own."""
    fleet = Authority("ecdsa", "Fleet CA")
    east = member(lab, "east", CERTIFICATE, fleet, ("192.0.2.2",) * named)
    west = member(lab, "west", CERTIFICATE, fleet, ("192.0.2.1",) * named)
    if named:
        met(lab, east, west, "cert", "nobody without its key or the authority's can be the peer")
    else:
        met(lab, east, west, "group", "every member of the group can be the peer")


@pytest.mark.long
def test_who_proves_less_than_authgrade_wants_gets_nothing(lab: Lab) -> None:
    """East's certificate has a name only, and is of the right authority; west wants the address."""
    fleet = Authority("ecdsa", "Fleet CA")
    east = member(lab, "east", CERTIFICATE, fleet)
    west = member(lab, "west", (*CERTIFICATE, "authgrade=cert"), fleet, ("192.0.2.1",))
    with Capture(lab.west) as wire:
        assert ping(lab.west, "192.0.2.2", 2, wait=5).received == 0
        assert ping(lab.east, "192.0.2.1", 2, wait=4).received == 0
        assert_quiet(wire)
    assert "grade group, authgrade=cert is wanted" in west.log() and west.tunnels() == east.tunnels() == 0
    # It is tried again now and then, and what waits then is held.
    wait_for("the shunt", lambda: "192.0.2.2: dropped since" in west.status(), 30, 0.5)


@pytest.mark.long
def test_a_stranger_to_the_authority_gets_nothing(lab: Lab) -> None:
    east = member(lab, "east", CERTIFICATE, Authority("ecdsa", "Other CA"), ("192.0.2.2",))
    west = member(lab, "west", CERTIFICATE, Authority("ecdsa", "Fleet CA"), ("192.0.2.1",))
    with Capture(lab.west) as wire:
        assert ping(lab.west, "192.0.2.2", 2, wait=5).received == 0
        assert_quiet(wire)
    assert west.tunnels() == east.tunnels() == 0
