# SPDX-License-Identifier: GPL-2.0-or-later
"""Signed updates, against a server of cardboard that keeps records and checks signatures."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.errors import ConfigError, HostError
from openswan.host.dnsupdate import TsigKey, Updater, read_key
from openswan.policy.ownrecords import OwnRecord, of_address

SECRET = base64.b64encode(bytes(32)).decode()
KEY = TsigKey("hosts.", "hmac-sha256", SECRET)
ZONE = "2.0.192.in-addr.arpa"
HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.99")
BIND = f'# a comment\nkey "hosts." {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'
KNOT = f"# hmac-sha256:hosts.\nkey:\n  - id: hosts.\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"


def _refusal(number: int) -> bytes:
    """REFUSED, without question and signature."""
    return number.to_bytes(2, "big") + b"\x80\x05" + bytes(8)


class Server:
    """Has one zone; `answer` overrides the response code of updates."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, str]] = []
        self.answer = dns.rcode.NOERROR
        self.silent = self.unsigned = False
        self._key = dns.tsig.Key(KEY.name, KEY.secret, "hmac-sha256.")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rb") as octets:
                data = octets.read(int.from_bytes(octets.read(2), "big"))
                with contextlib.suppress(dns.tsig.BadSignature):
                    message = dns.message.from_wire(data, keyring=self._key)
                    wire = b"" if self.silent else self._respond(message).to_wire()
                    client.sendall(len(wire).to_bytes(2, "big") + wire)

    def _respond(self, message: dns.message.Message) -> dns.message.Message:
        if self.unsigned:
            return dns.message.from_wire(_refusal(message.id))
        response = dns.message.make_response(message)
        if isinstance(message, dns.update.UpdateMessage):
            response.set_rcode(self.answer)
            for rrset in message.update if self.answer == dns.rcode.NOERROR else ():
                for data in rrset:
                    row = (rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype), data.to_text())
                    if rrset.deleting == dns.rdataclass.NONE:
                        self.records = [one for one in self.records if one != row]
                    else:
                        self.records.append(row)
            return response
        asked = message.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        for name, each, data in self.records:
            if name == asked.name.to_text() and each in (kind, "CNAME"):
                response.answer.append(dns.rrset.from_text(name, 60, "IN", each, data))
        if asked.name.is_subdomain(dns.name.from_text(ZONE)):
            soa = "ns. root. 1 3600 600 86400 60"
            response.authority.append(dns.rrset.from_text(f"{ZONE}.", 60, "IN", "SOA", soa))
        else:
            response.set_rcode(dns.rcode.REFUSED)
        return response

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


def updater(server: Server, key: TsigKey = KEY) -> Updater:
    return Updater("127.0.0.1", key, server.port, 2.0)


def ours(gateway: str = "192.0.2.1") -> tuple[OwnRecord, ...]:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return of_address(HERE, key, ip_address(gateway))


@pytest.mark.parametrize("text", [BIND, KNOT, BIND.replace("\n", " "), KNOT.replace("hosts.\n ", '"hosts."\n ')])
def test_key_files_of_both_kinds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(text.replace("# a comment ", ""))
    assert read_key(path) == KEY
    assert SECRET not in repr(read_key(path))


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (BIND, 0o640, "chmod 600"),
        ("", 0o600, "no key"),
        (BIND.replace("secret", "sekret"), 0o600, "no secret"),
        (BIND.replace(SECRET, "***"), 0o600, "the secret is not base64"),
        (BIND.replace("hmac-sha256", "hmac-md5"), 0o600, "algorithm hmac-md5 is not used: hmac-sha256"),
    ],
)
def test_key_files_that_will_not_do(tmp_path: Path, text: str, mode: int, why: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=why):
        read_key(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_key(tmp_path / "none")


def test_a_key_whose_name_is_none(server: Server) -> None:
    with pytest.raises(ConfigError, match="TSIG key x"):
        updater(server, TsigKey("x" * 64, "hmac-sha256", SECRET))


def test_records_go_in_and_out(server: Server) -> None:
    others = [
        (f"1.{ZONE}.", "TXT", '"something else"'),
        (f"1.{ZONE}.", "IPSECKEY", "10 1 4 192.0.2.99 " + "A" * 43 + "="),
    ]
    server.records += others
    at = updater(server)
    at.publish(ZONE, ours(), 60)
    (mine,) = [row for row in server.records if row not in others]
    at.publish(ZONE, ours(), 60)
    (next_one,) = [row for row in server.records if row not in others]
    assert mine != next_one and "192.0.2.1" in next_one[2]
    at.remove(ZONE, ours())
    assert server.records == others


def test_where_a_name_has_its_records(server: Server) -> None:
    at = updater(server)
    assert at.place_of(f"1.{ZONE}") == (ZONE, f"1.{ZONE}")
    server.records.append((f"8.{ZONE}.", "CNAME", f"8.0-15.{ZONE}."))
    assert at.place_of(f"8.{ZONE}") == (ZONE, f"8.0-15.{ZONE}")
    server.records.append((f"8.0-15.{ZONE}.", "CNAME", f"8.{ZONE}."))
    with pytest.raises(HostError, match="more than 8 CNAMEs"):
        at.place_of(f"8.{ZONE}")
    with pytest.raises(HostError, match=r"has no zone for gw\.example"):
        at.place_of("gw.example")


@pytest.mark.parametrize("code", ["REFUSED", "NOTAUTH", "NOTIMP", "SERVFAIL", "YXDOMAIN"])
def test_refusals_say_what_to_do(server: Server, code: str) -> None:
    server.answer = dns.rcode.from_text(code)
    with pytest.raises(HostError, match=f"answers {code} for zone {ZONE}: ."):
        updater(server).publish(ZONE, ours(), 60)
    assert not server.records


def test_answers_that_are_signed_with_something_else_or_never_come(server: Server) -> None:
    wrong = TsigKey(KEY.name, KEY.algorithm, base64.b64encode(bytes(31) + b"x").decode())
    with pytest.raises(HostError):
        updater(server, wrong).publish(ZONE, ours(), 60)
    server.silent = True
    with pytest.raises(HostError):
        updater(server).publish(ZONE, ours(), 60)
    server.unsigned = True
    with pytest.raises(HostError, match="answers without a signature, as servers refuse"):
        updater(server).publish(ZONE, ours(), 60)
    with pytest.raises(HostError, match="has no zone for"):
        updater(server).place_of("gw.example")
    server.close()
    with pytest.raises(HostError, match="Connection refused"):
        updater(server).publish(ZONE, ours(), 60)
