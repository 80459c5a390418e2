# SPDX-License-Identifier: GPL-2.0-or-later
"""What NSEC and NSEC3 prove, and what they do not: the same zone denied both ways."""

from __future__ import annotations

import base64

import dns.dnssec
import dns.name
import dns.rdata
import pytest

from openswan.host.dnsdenial import CNAME, DS, MOST_ITERATIONS, NS, SOA, Denial, Proof

KEY, TXT, A = 25, 16, 1
ZONE = dns.name.from_text("test.")
NAMES = {
    "test.": "SOA NS DNSKEY",
    "a.test.": "TXT",
    "cut.test.": "NS",
    "ent.test.": "",
    "x.ent.test.": "TXT",
    "link.test.": "CNAME",
    "signed.test.": "NS DS",
    "*.wild.test.": "TXT",
    "wild.test.": "",
}


def name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def nsec() -> Denial:
    """A chain of NSEC; names that exist for others' sake have none."""
    owners = sorted(name(text) for text, types in NAMES.items() if types)
    proofs = []
    for owner, following in zip(owners, [*owners[1:], owners[0]], strict=True):
        types = NAMES[owner.to_text()]
        data = dns.rdata.from_text("IN", "NSEC", f"{following} {types} RRSIG NSEC")
        proofs.append(Proof(owner, data))
    return Denial(ZONE, proofs)


def nsec3(iterations: int = 1, opt_out: bool = False, hidden: tuple[str, ...] = ()) -> Denial:
    """A chain of NSEC3; with opt-out `hidden` delegations have none."""
    salt = "aabb"
    shown = {text: types for text, types in NAMES.items() if text not in hidden}
    hashes = {dns.dnssec.nsec3_hash(name(text), salt, iterations, 1).lower(): types for text, types in shown.items()}
    order = sorted(hashes, key=lambda text: base64.b32hexdecode(text.upper()))
    proofs = []
    for owner, following in zip(order, [*order[1:], order[0]], strict=True):
        data = dns.rdata.from_text(
            "IN", "NSEC3", f"1 {int(opt_out)} {iterations} {salt} {following} {hashes[owner]} RRSIG".strip()
        )
        proofs.append(Proof(name(f"{owner}.test."), data))
    return Denial(ZONE, (), proofs)


BOTH = pytest.mark.parametrize("denial", [nsec(), nsec3()], ids=["NSEC", "NSEC3"])


@BOTH
def test_names_that_do_not_exist(denial: Denial) -> None:
    for text in ("no.test.", "zz.test.", "0.test.", "x.y.no.test.", "b.a.test."):
        assert denial.no_name(name(text)), text
        assert denial.no_exact(name(text)), text
    for text in ("a.test.", "x.ent.test.", "test.", "cut.test.", "below.cut.test.", "other.example."):
        assert not denial.no_name(name(text)), text


@BOTH
def test_types_that_do_not_exist(denial: Denial) -> None:
    assert denial.no_type(name("a.test."), KEY) and not denial.no_type(name("a.test."), TXT)
    assert denial.no_type(name("ent.test."), TXT), "it exists for what is below it"
    assert not denial.no_type(name("link.test."), TXT), "a CNAME would have been the answer"
    assert denial.no_type(ZONE, TXT) and not denial.no_type(ZONE, SOA)
    assert not denial.no_type(name("no.test."), TXT), "that it does not exist is another thing"


@BOTH
def test_the_parents_side_of_a_delegation_denies_ds_alone(denial: Denial) -> None:
    """RFC 6840 4.1: else a parent's record would deny all that a child has."""
    assert denial.no_type(name("cut.test."), DS) and not denial.no_type(name("cut.test."), TXT)
    assert not denial.no_type(name("signed.test."), DS) and not denial.no_type(name("below.signed.test."), TXT)
    assert not denial.no_name(name("below.signed.test."))


@BOTH
def test_wildcards(denial: Denial) -> None:
    assert not denial.no_name(name("q.wild.test.")), "the wildcard stands for it"
    assert denial.no_exact(name("q.wild.test."))
    assert denial.no_type(name("q.wild.test."), KEY) and not denial.no_type(name("q.wild.test."), TXT)


@BOTH
def test_unsigned_delegations(denial: Denial) -> None:
    assert denial.unsigned_cut(name("cut.test."))
    for text in ("signed.test.", "a.test.", "test.", "no.test."):
        assert not denial.unsigned_cut(name(text)), text


def test_opt_out_proves_nothing_about_what_it_covers() -> None:
    denial = nsec3(opt_out=True, hidden=("cut.test.",))
    assert denial.unsigned_cut(name("cut.test.")) and denial.opted_out(name("cut.test."))
    assert denial.opted_out(name("no.test.")) and not denial.opted_out(name("a.test."))
    assert not nsec3().opted_out(name("no.test.")) and not nsec().opted_out(name("no.test."))


def test_a_hash_that_costs_too_much_proves_nothing() -> None:
    """RFC 9276 3.2."""
    assert nsec3(MOST_ITERATIONS).no_name(name("no.test."))
    assert not nsec3(MOST_ITERATIONS + 1).no_name(name("no.test."))
    assert not nsec3(MOST_ITERATIONS + 1).no_type(name("a.test."), KEY)


def test_records_that_are_missing_or_odd_prove_nothing() -> None:
    whole = nsec3()
    for left_out in range(len(whole.nsec3)):
        part = Denial(ZONE, (), [each for at, each in enumerate(whole.nsec3) if at != left_out])
        assert not part.no_name(name("a.test.")) and not part.no_type(name("a.test."), TXT)
    assert not Denial(ZONE).no_name(name("no.test.")) and not Denial(ZONE).no_type(name("a.test."), KEY)
    odd = Denial(ZONE, (), [Proof(name("not-a-hash!.test."), each.data) for each in whole.nsec3])
    assert not odd.no_type(name("a.test."), KEY)


def test_bitmaps() -> None:
    proof = Proof(ZONE, dns.rdata.from_text("IN", "NSEC", "test. A NS CNAME TYPE65280 RRSIG"))
    assert all(proof.has(kind) for kind in (A, NS, CNAME, 65280)) and not any(
        proof.has(kind) for kind in (SOA, DS, 65281)
    )
