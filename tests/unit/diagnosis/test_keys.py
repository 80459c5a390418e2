# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes in ipsec.secrets and among certificates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openswan.diagnosis.facts import Certificate, Secrets
from openswan.diagnosis.finding import ALARM
from openswan.diagnosis.judge import judge
from tests.unit.diagnosis.world import NOW, codes, down, first, up

THEN = datetime.fromtimestamp(NOW, UTC)
DAY = timedelta(days=1)


def cert(side: str = "left", **more: Any) -> Certificate:
    made = Certificate("net", side, f"{side}.pem", f"CN={side}", THEN - DAY, THEN + DAY)
    return replace(made, **more)


@pytest.mark.parametrize(
    ("secrets", "code", "remedy"),
    [
        (Secrets(mode=None), "no-secrets-file", "newhostkey --output /etc/ipsec.secrets"),
        (Secrets(mode=0o644), "secrets-mode", "chmod 600 /etc/ipsec.secrets"),
        (Secrets(complaints=("line 3: PSK data malformed",), missing={"net": "x"}), "secrets-error", "line 3"),
        (Secrets(missing={"net": "A B : PSK"}), "no-secret", "add to /etc/ipsec.secrets: A B : PSK"),
        (Secrets(changed=NOW - 5), "secrets-unread", "ipsec auto --rereadsecrets"),
    ],
)
def test_secrets(secrets: Secrets, code: str, remedy: str) -> None:
    found = first(replace(down(), secrets=secrets))
    assert found.code == code and remedy in found.remedy


def test_read_again_since() -> None:
    facts = replace(down(("", 'loading secrets from "/etc/ipsec.secrets"')), secrets=Secrets(changed=NOW - 20))
    assert "secrets-unread" not in codes(facts)


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (cert(end=THEN - DAY), "cert-expired"),
        (cert(start=THEN + DAY / 2), "cert-not-yet-valid"),
        (cert(key=False), "no-private-key"),
        (cert("right", issued=False), "no-authority"),
        (cert("right", end=THEN - DAY), "cert-expired"),
    ],
)
def test_certificates(one: Certificate, code: str) -> None:
    assert first(replace(down(), certificates=(one,))).code == code


def test_good_ones_and_the_peers_key() -> None:
    assert codes(replace(up(), certificates=(cert(), cert("right", key=False)))) == []
    old = replace(cert(), conn="", end=THEN - DAY)
    assert codes(replace(up(), authorities=(old,))) == ["cert-expired"]


def test_a_clock_that_is_behind_what_was_written_here() -> None:
    """The certificate is not to blame; without certificates it is a remark."""
    facts = replace(down(), secrets=Secrets(changed=NOW + 86400), certificates=(cert(start=THEN + DAY / 2),))
    assert first(facts).code == "clock-behind" and "set the clock" in first(facts).remedy
    [found] = [one for one in judge(replace(up(), secrets=Secrets(changed=NOW + 86400))) if one.code == "clock-behind"]
    assert found.weight < ALARM
    assert "clock-behind" not in codes(replace(facts, secrets=Secrets(changed=NOW + 60)))
