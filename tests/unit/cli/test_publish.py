# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec publish`: which records, to which zone, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.errors import HostError
from openswan.cli import publish
from openswan.cli.publish import main
from openswan.policy.ownrecords import OwnRecord
from tests.netns.keys import pem
from tests.unit.cli.cardboard import Cardboard

REVERSE = "1.2.0.192.in-addr.arpa"


class FakeUpdater:
    """Has one zone, and remembers what it was asked."""

    done: list[tuple[str, str, str, int]]

    def __init__(self, server: str, key: Any, port: int) -> None:
        self.server, self.port = server, port
        FakeUpdater.done = []

    def place_of(self, owner: str) -> tuple[str, str]:
        if not owner.endswith("in-addr.arpa"):
            raise HostError("no such zone")
        return "2.0.192.in-addr.arpa", owner

    def publish(self, zone: str, records: list[OwnRecord], ttl: int) -> None:
        if zone == "broken":
            raise HostError("REFUSED")
        FakeUpdater.done += [("publish", zone, one.owner, ttl) for one in records]

    def remove(self, zone: str, records: list[OwnRecord]) -> None:
        FakeUpdater.done += [("remove", zone, one.owner, 0) for one in records]


@pytest.fixture
def key(places: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A host with a key, and the file of a TSIG key."""
    private = places / "ipsec.d/private"
    private.mkdir(parents=True)
    for path, data in (
        (private / "host.pem", pem(ed25519.Ed25519PrivateKey.generate())),
        (places / "ipsec.secrets", b": RSA host.pem\n"),
        (places / "tsig.key", b'key "hosts." { algorithm hmac-sha256; secret "AAAA"; };\n'),
    ):
        path.touch(mode=0o600)
        path.write_bytes(data)
    monkeypatch.setattr(publish, "Machine", lambda: Cardboard(addresses=["192.0.2.1"]))
    monkeypatch.setattr(publish, "Updater", FakeUpdater)
    return str(places / "tsig.key")


def test_it_says_what_it_has_published(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--server", "192.0.2.53", "--key", key, "--host", "gw"]) == 0
    assert FakeUpdater.done == [("publish", "2.0.192.in-addr.arpa", REVERSE, 3600)]
    assert capsys.readouterr().out == f"published IPSECKEY of {REVERSE} (zone 2.0.192.in-addr.arpa)\n"
    assert main(["--server", "192.0.2.53", "--key", key, "--host", "gw", "--remove"]) == 0
    assert FakeUpdater.done[0][0] == "remove" and "removed IPSECKEY" in capsys.readouterr().out


def test_several_addresses_a_zone_and_a_ttl(key: str) -> None:
    more = ["--ip", "192.0.2.7", "--ip", "2001:db8::7", "--zone", "all.example", "--ttl", "60", "--host", "gw"]
    assert main(["--server", "192.0.2.53", "--key", key, *more]) == 0
    assert [row[1:] for row in FakeUpdater.done] == [
        ("all.example", "7.2.0.192.in-addr.arpa", 60),
        ("all.example", "7." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", 60),
    ]


def test_one_zone_that_fails_does_not_stop_the_others(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--server", "192.0.2.53", "--key", key, "--host", "gw.example"]) == 1
    assert len(FakeUpdater.done) == 1 and "gw.example: no such zone" in capsys.readouterr().err
    assert main(["--server", "192.0.2.53", "--key", key, "--host", "gw", "--zone", "broken"]) == 1
    assert capsys.readouterr().err == "ipsec publish: REFUSED\n"


def test_print_asks_nobody(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print", "--host", "gw", "--gateway", "192.0.2.99", "--precedence", "5"]) == 0
    assert capsys.readouterr().out.startswith(f"{REVERSE}.\tIN\tIPSECKEY\t5 1 4 192.0.2.99 ")


@pytest.mark.parametrize(
    ("argv", "status", "why"),
    [
        ([], 2, "--server is missing"),
        (["--server", "192.0.2.53"], 2, "--key is missing"),
        (["--ip", "nowhere"], 2, "`nowhere' is no address"),
        (["--gateway", "nowhere"], 2, "`nowhere' is no address"),
        (["--precedence", "256"], 2, "is not a number from 0 to 255"),
        (["--ttl", "0"], 2, "--ttl"),
        (["--server", "192.0.2.53", "--key", "/nonexistent"], 1, "No such file"),
        (["more"], 2, "`more' is too much"),
    ],
)
def test_what_makes_no_sense(
    key: str, argv: list[str], status: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == status
    assert why in capsys.readouterr().err


def test_without_a_key(key: str, places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (places / "ipsec.secrets").write_text('192.0.2.1 : PSK "x"\n')
    assert main(["--print", "--host", "gw"]) == 1
    assert "ipsec newhostkey" in capsys.readouterr().err
