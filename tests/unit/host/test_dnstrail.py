# SPDX-License-Identifier: GPL-2.0-or-later
"""What a message says: records, CNAME and DNAME trails, denials and how long they hold, malformed records."""

import dns.message
import dns.rcode
import pytest

from openswan.host.dnstrail import LONGEST_NEGATIVE, MOST_RECORDS, NEGATIVE_TTL, Piece, follow
from openswan.policy.dnsanswer import DnsStatus
from tests.unit.host.dnsserver import reply

SOA = "example. 300 SOA ns.example. root.example. 1 2 3 4 120"


def said(
    *records: str, code: int = dns.rcode.NOERROR, ad: bool = False, name: str = "a.example", kind: str = "TXT"
) -> Piece:
    query = dns.message.make_query(name, kind)
    return follow(dns.message.from_wire(reply(query, *records, code=code, ad=ad).to_wire()), name, kind)


def test_records() -> None:
    piece = said("a.example. 60 TXT one", 'a.example. 60 TXT "two" "three"', "b.example. 5 TXT other", ad=True)
    assert piece.status is DnsStatus.FOUND and piece.secure and piece.ttl == 60
    assert sorted(piece.records) == [b"\x03one", b"\x03two\x05three"] and piece.trail == ()


def test_names_compare_without_case() -> None:
    assert said("A.EXAMPLE. 60 TXT one").records == (b"\x03one",)


def test_a_cname_trail_has_the_shortest_ttl() -> None:
    piece = said("a.example. 30 CNAME b.example.", "b.example. 20 CNAME c.example.", "c.example. 60 TXT x")
    assert (piece.trail, piece.ttl, piece.records) == (("b.example", "c.example"), 20, (b"\x01x",))


def test_a_reverse_zone_delegated_by_cname() -> None:
    """RFC 2317."""
    name = "7.2.0.192.in-addr.arpa"
    piece = said(f"{name}. 60 CNAME 7.0-15.2.0.192.in-addr.arpa.", "7.0-15.2.0.192.in-addr.arpa. 60 TXT x", name=name)
    assert piece.trail == ("7.0-15.2.0.192.in-addr.arpa",) and piece.records == (b"\x01x",)


def test_a_dname_without_the_cname_made_of_it() -> None:
    piece = said("example. 50 DNAME other.", "a.other. 60 TXT x")
    assert (piece.trail, piece.ttl) == (("a.other",), 50)
    assert said("a.example. 50 DNAME other.").status is DnsStatus.ABSENT, "a DNAME is not about its own name"


def test_a_dname_that_makes_a_name_too_long() -> None:
    long = ".".join(["a" * 60] * 3)
    assert said(f"example. 50 DNAME {long}.x.", name=f"{long}.example").status is DnsStatus.ABSENT


def test_a_trail_that_goes_on_elsewhere() -> None:
    assert said("a.example. 30 CNAME b.other.").onward == "b.other"
    assert said("a.example. 30 CNAME b.example.", SOA).onward == "", "the SOA says that there is nothing"
    assert said("a.example. 30 CNAME b.other.", code=dns.rcode.NXDOMAIN).onward == ""


def test_loops_and_endless_trails() -> None:
    piece = said("a.example. 1 CNAME b.example.", "b.example. 1 CNAME a.example.")
    assert piece.status is DnsStatus.FAILED and "to itself" in piece.reason
    chain = [f"n{n}.example. 1 CNAME n{n + 1}.example." for n in range(40)]
    piece = said(*chain, name="n0.example")
    assert piece.status is DnsStatus.FAILED and piece.reason == "more than 16 CNAMEs"
    assert said("a.example. 1 CNAME a.example.").status is DnsStatus.FAILED


def test_denials() -> None:
    gone = said(SOA, code=dns.rcode.NXDOMAIN)
    assert (gone.status, gone.ttl, gone.reason) == (DnsStatus.ABSENT, 120, "a.example does not exist")
    empty = said(SOA.replace("300", "7"))
    assert (empty.status, empty.ttl, empty.reason) == (DnsStatus.ABSENT, 7, "no TXT record for a.example")
    assert said().ttl == NEGATIVE_TTL
    assert said(SOA.replace("300", "99999").replace("120", "99999")).ttl == LONGEST_NEGATIVE
    assert said("a.example. 5 CNAME b.example.", SOA, code=dns.rcode.NXDOMAIN).ttl == 5


def test_what_servers_say_when_they_do_not_know() -> None:
    assert said(code=dns.rcode.REFUSED) == Piece(DnsStatus.FAILED, reason="REFUSED")
    assert said(code=dns.rcode.SERVFAIL).status is DnsStatus.BOGUS, "only one that withholds an answer gets this far"


def broken(*data: bytes, name: str = "a.example", kind: str = "IPSECKEY") -> Piece:
    """An answer with records of that data, good or bad."""
    wire = bytearray(reply(dns.message.make_query(name, kind)).to_wire())
    wire[6:8] = len(data).to_bytes(2, "big")
    for each in data:
        number = {"IPSECKEY": 45, "TXT": 16}[kind]
        wire += b"\xc0\x0c" + number.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(each).to_bytes(2, "big") + each
    return follow(dns.message.from_wire(bytes(wire), continue_on_error=True), name, kind)


@pytest.mark.parametrize(
    "bad", [b"", b"\x0a", b"\x0a\x01\x02\xc0", b"\x0a\x09\x02key", b"\x0a\x03\x02\x3fx", b"\x0a\x03\x02\xc0\x0ckey"]
)
def test_a_malformed_record_does_not_spoil_the_others(bad: bytes) -> None:
    good = b"\x0a\x00\x02" + b"key"
    piece = broken(bad, good)
    assert piece.status is DnsStatus.FOUND and good in piece.records
    assert piece.faults or len(piece.records) == 2
    alone = broken(bad)
    assert alone.status is DnsStatus.FOUND or (alone.faults and "that can be read (malformed record" in alone.reason)


def test_how_much_is_kept_is_bounded() -> None:
    piece = broken(*(b"\x0a\x00\x02" + n.to_bytes(2, "big") for n in range(200)))
    assert len(piece.records) == MOST_RECORDS and piece.faults == ("more records than are looked at",)
    piece = broken(*(b"\x0a\x00\x02" + bytes([n]) * 4000 for n in range(12)))
    assert sum(map(len, piece.records)) <= 1 << 15
