# SPDX-License-Identifier: GPL-2.0-or-later
"""EAP-TLS: fragments both ways, a double in place of OpenSSL, and then OpenSSL itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto.tls import TlsError
from openswan.ike.eap.method import EapError
from openswan.ike.eap.tls import FRAGMENT, LENGTH, MORE, MOST_FLIGHT, START, Flights, TlsPeer, TlsServer


@dataclass
class Fake:
    """A handshake of canned flights; done after the last."""

    flights: list[bytes]
    commits: bool = False
    heard: list[bytes] = field(default_factory=list)
    done: bool = False
    error: TlsError | None = None
    told: bool = True

    def feed(self, data: bytes) -> bytes:
        self.heard.append(data)
        if self.error is not None:
            raise self.error
        flight = self.flights.pop(0) if self.flights else b""
        self.done = not self.flights
        return flight

    def commit(self) -> bytes:
        return b"last word"

    def committed(self) -> bool:
        return self.told and self.heard[-1] == b"last word"

    def keys(self) -> bytes:
        return bytes(range(128))

    def peer_certificates(self) -> tuple[bytes, ...]:
        return (b"leaf",)


def judge(chain: tuple[bytes, ...]) -> str:
    return chain[0].decode()


def refuse(chain: tuple[bytes, ...]) -> str:
    raise CryptoError("certificate refused")


def run(server: TlsServer, peer: TlsPeer, rounds: int = 100) -> int:
    """Until the server has no further question; how many there were."""
    request: bytes | None = server.begin()
    for number in range(rounds):
        if request is None:
            return number
        request = server.take(peer.take(request))
    raise AssertionError("it never ends")


@pytest.mark.parametrize("commits", [False, True])
def test_flights_of_all_sizes(commits: bool) -> None:
    ours = [b"hello", b"c" * (3 * FRAGMENT)]
    theirs = [b"s" * (2 * FRAGMENT + 1), b"f" * FRAGMENT] if not commits else [b"s" * (2 * FRAGMENT + 1), b""]
    # Only with TLS 1.3 the client is done before it has heard the server's last flight.
    client = Fake(ours if commits else [*ours, b""], commits)
    s, p = TlsServer(Fake(list(theirs), commits), judge), TlsPeer(client, judge)
    run(s, p)
    assert s.done and p.done and s.msk == p.msk == bytes(range(64)) and s.user == "leaf"
    last = b"last word" if commits else theirs[1]
    assert client.heard == [b"", theirs[0], last]


def test_the_form_of_fragments() -> None:
    flights = Flights()
    flights.load(b"x" * (2 * FRAGMENT + 5))
    first, second, third = flights.packet(), flights.packet(), flights.packet()
    assert first[0] == LENGTH | MORE and int.from_bytes(first[1:5], "big") == 2 * FRAGMENT + 5
    assert second[0] == MORE and third == b"\0" + b"x" * 5 and not flights.waiting
    whole = Flights()
    assert whole.take(first) is None and whole.take(second) is None
    assert whole.take(third) == b"x" * (2 * FRAGMENT + 5)


@pytest.mark.parametrize(
    "packets",
    [
        [b""],
        [bytes([LENGTH]) + b"\0\0"],
        [bytes([MORE])],
        [bytes([LENGTH | MORE]) + b"\0\1\0\0" + b"x", bytes([LENGTH]) + b"\0\0\0\5" + b"x"],
        [bytes([LENGTH]) + (MOST_FLIGHT + 1).to_bytes(4, "big") + b"x"],
        [bytes([LENGTH]) + b"\xff\xff\xff\xff" + b"x"],
        [bytes([LENGTH]) + b"\0\0\0\1" + b"xx"],
        [bytes([LENGTH]) + b"\0\0\0\3" + b"xx"],
        [bytes([MORE]) + bytes(40000), bytes([MORE]) + bytes(40000)],
    ],
)
def test_fragments_that_lie(packets: list[bytes]) -> None:
    flights = Flights()
    with pytest.raises(EapError):
        for packet in packets:
            flights.take(packet)


def test_talking_while_the_other_does() -> None:
    flights = Flights()
    flights.load(b"x" * 2 * FRAGMENT)
    flights.packet()
    with pytest.raises(EapError, match="before ours has been taken"):
        flights.take(b"\0data")


def test_a_certificate_refused_on_either_side() -> None:
    s, p = TlsServer(Fake([b"s", b"f"]), refuse), TlsPeer(Fake([b"c", b"d"]), judge)
    with pytest.raises(EapError, match="certificate refused"):
        run(s, p)
    assert not s.done and not s.msk
    s, p = TlsServer(Fake([b"s", b"f"]), judge), TlsPeer(Fake([b"c", b"d"]), refuse)
    with pytest.raises(EapError, match="certificate refused"):
        run(s, p)
    assert not p.done and not p.msk


def test_an_alert_is_told_before_the_failure() -> None:
    s = TlsServer(Fake([], error=TlsError("bad certificate", b"alert")), judge)
    s.begin()
    assert s.take(b"\0hello") == b"\0alert"
    with pytest.raises(EapError, match="bad certificate"):
        s.take(b"\0")
    silent = TlsServer(Fake([], error=TlsError("odd", b"")), judge)
    silent.begin()
    with pytest.raises(EapError, match="odd"):
        silent.take(b"\0hello")


def test_a_client_tells_by_an_alert_too() -> None:
    tls = Fake([b"c", b"d", b"e"])
    p = TlsPeer(tls, judge)
    p.take(bytes([START]))
    tls.error = TlsError("unknown ca", b"alert")
    assert p.take(b"\0flight") == b"\0alert" and p.failure.endswith("unknown ca") and not p.done
    with pytest.raises(EapError):
        p.take(b"\0flight")


def test_no_success_without_the_servers_last_word() -> None:
    """TLS 1.3: the handshake is complete, yet the server may still object (RFC 9190 2.5)."""
    p = TlsPeer(Fake([b"c", b"d"], True, told=False), judge)
    p.take(bytes([START]))
    p.take(b"\0flight")
    assert not p.done and not p.msk


@pytest.mark.parametrize("first", [b"", b"\0", bytes([START]) + b"x", bytes([MORE])])
def test_no_start(first: bytes) -> None:
    with pytest.raises(EapError, match="does not begin"):
        TlsPeer(Fake([b"c"]), judge).take(first)


def test_silence_where_tls_waits() -> None:
    s = TlsServer(Fake([b"s", b"f"]), judge)
    s.begin()
    with pytest.raises(EapError, match="sends nothing"):
        s.take(b"\0")
    p = TlsPeer(Fake([b"c", b"d", b"e"]), judge)
    p.take(bytes([START]))
    with pytest.raises(EapError, match="nothing in it"):
        p.take(b"\0")
