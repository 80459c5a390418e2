# SPDX-License-Identifier: GPL-2.0-or-later
"""DNSSEC against signed zones of the test's own, whole and damaged in every way that matters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from openswan.base.errors import HostError
from openswan.host import dnssec
from openswan.host.dnssec import BogusError, Trust, Validator, read_anchors

HEAD = "@ 300 SOA ns root 1 3600 600 86400 60\n@ 300 NS ns.test.\n"
TEXTS = {
    "test.": """
ns A 192.0.2.2
a TXT "x"
a TXT "y"
cn CNAME a
far CNAME b.sub
out CNAME c.open
old DNAME sub
*.wild TXT "any"
deep.ent TXT "below an empty one"
sub NS ns
open NS ns
broken NS ns
""",
    "sub.test.": 'b TXT "z"\n',
    "open.test.": 'c TXT "unsigned"\n',
    "broken.test.": 'd TXT "its DS names another key"\n',
}
SIGNED = ("sub.test.", "broken.test.", "test.")


class World:
    """The zones, and a server that has them all."""

    def __init__(self, lifetime: float = 86400.0) -> None:
        self.zones: dict[str, dns.zone.Zone] = {}
        self.asked: list[tuple[str, str]] = []
        extra: list[str] = []
        now = time.time()
        for name in (*SIGNED, "open.test."):
            text = HEAD + TEXTS[name] + ("".join(extra) if name == "test." else "")
            zone = dns.zone.from_text(text, name, relativize=False, check_origin=False)
            self.zones[name] = zone
            if name not in SIGNED:
                continue
            private = ec.generate_private_key(ec.SECP256R1())
            key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
            other = dns.dnssec.make_dnskey(
                ec.generate_private_key(ec.SECP256R1()).public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257
            )
            with zone.writer() as txn:
                dns.dnssec.sign_zone(
                    zone, txn=txn, keys=[(private, key)], inception=now - 3600, expiration=now + lifetime, lifetime=None
                )
            named = other if name == "broken.test." else key
            extra.append(f"{name} 300 IN DS {dns.dnssec.make_ds(dns.name.from_text(name), named, 'SHA256')}\n")
        self.anchor = extra[-1]

    def zone_of(self, name: dns.name.Name, kind: int) -> dns.zone.Zone:
        """The zone that answers; for DS the one above."""
        fits = [zone for zone in self.zones.values() if zone.origin is not None and name.is_subdomain(zone.origin)]
        if kind == dns.rdatatype.DS and name != dns.name.from_text("test."):
            fits = [zone for zone in fits if zone.origin != name]
        return max(fits, key=lambda zone: len(zone.origin or ()))

    def answer(self, name: dns.name.Name | str, kind: str) -> dns.message.Message:
        """As a resolver that does not check would."""
        name = dns.name.from_text(name) if isinstance(name, str) else name
        wanted = dns.rdatatype.from_text(kind)
        message = dns.message.make_response(dns.message.make_query(name, kind))
        for _ in range(5):
            zone = self.zone_of(name, wanted)
            if self.put(message.answer, zone, name, wanted):
                return message
            dname = next(
                (up for up in zone if name != up and name.is_subdomain(up) and zone.get_rdataset(up, "DNAME")), None
            )
            if dname is not None:
                self.put(message.answer, zone, dname, dns.rdatatype.DNAME)
                target = zone.find_rdataset(dname, "DNAME")[0].target
                name = name.relativize(dname).derelativize(target)
                continue
            if self.put(message.answer, zone, name, dns.rdatatype.CNAME):
                name = zone.find_rdataset(name, "CNAME")[0].target
                continue
            break
        origin = zone.origin
        assert origin is not None
        wildcard = next(
            (up for up in zone if up.labels[0] == b"*" and name.is_subdomain(up.parent()) and name != up.parent()), None
        )
        if wildcard is not None and zone.get_rdataset(wildcard, wanted) and zone.get_node(name) is None:
            self.put(message.answer, zone, wildcard, wanted, name)
        else:
            exists = wildcard is not None or any(each.is_subdomain(name) for each in zone)
            message.set_rcode(dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN)
            self.put(message.authority, zone, origin, dns.rdatatype.SOA)
        for each in zone:
            self.put(message.authority, zone, each, dns.rdatatype.NSEC)
        return message

    @staticmethod
    def put(
        section: list[dns.rrset.RRset],
        zone: dns.zone.Zone,
        name: dns.name.Name,
        kind: int,
        shown: dns.name.Name | None = None,
    ) -> bool:
        """Records and their signatures into a section; False when there are none."""
        found = zone.get_rdataset(name, dns.rdatatype.RdataType(kind))
        if found is None:
            return False
        for rdataset in (found, zone.get_rdataset(name, "RRSIG", kind)):
            if rdataset is not None:
                made = dns.rrset.from_rdata_list(shown or name, rdataset.ttl, list(rdataset))
                made.covers = rdataset.covers
                section.append(made)
        return True

    async def fetch(self, name: str, kind: str) -> dns.message.Message:
        self.asked.append((name, kind))
        return self.answer(name, kind)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


Change = Callable[[dns.message.Message], None]


def judge(world: World, name: str, kind: str = "TXT", change: Change | None = None, **more: object) -> Trust | str:
    """What an answer is worth, after `change` to it; the reason when it is bogus."""
    anchors = more.pop("anchors", read_anchors(world.anchor))
    validator = Validator(world.fetch, anchors, **more)  # type: ignore[arg-type]
    message = world.answer(name + ".", kind)
    if change is not None:
        change(message)
    try:
        return asyncio.run(validator.judge(message, name, kind))
    except BogusError as why:
        return str(why)


@pytest.mark.parametrize(
    "name", ["a.test", "A.TEST", "cn.test", "far.test", "b.old.test", "b.sub.test", "q.wild.test", "deep.ent.test"]
)
def test_secure(world: World, name: str) -> None:
    assert judge(world, name) is Trust.SECURE


@pytest.mark.parametrize("name", ["c.open.test", "out.test", "nothing.open.test", "elsewhere.example"])
def test_insecure(world: World, name: str) -> None:
    message_world = world
    if name.endswith("example"):
        validator = Validator(world.fetch, read_anchors(world.anchor))
        message = dns.message.make_response(dns.message.make_query(name, "TXT"))
        assert asyncio.run(validator.judge(message, name, "TXT")) is Trust.INSECURE
        return
    assert judge(message_world, name) is Trust.INSECURE


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("no.test", "TXT"), ("x.y.no.test", "TXT"), ("a.test", "KEY"), ("ent.test", "TXT"), ("no.sub.test", "TXT")),
        *(("q.wild.test", "KEY"), ("test", "TXT"), ("far.test", "KEY"), ("zz.old.test", "TXT")),
    ],
)
def test_denials_that_are_proved(world: World, name: str, kind: str) -> None:
    assert judge(world, name, kind) is Trust.SECURE


def strip(kind: str, covers: str = "NONE") -> Change:
    def change(message: dns.message.Message) -> None:
        for section in (message.answer, message.authority):
            section[:] = [
                each for each in section if not (each.rdtype.name == kind and covers in ("NONE", each.covers.name))
            ]

    return change


def forge(message: dns.message.Message) -> None:
    """Another text under the old signature."""
    for place, each in enumerate(message.answer):
        if each.rdtype.name == "TXT":
            message.answer[place] = dns.rrset.from_text(each.name, each.ttl, "IN", "TXT", '"forged"')


def test_forged_records(world: World) -> None:
    for name in ("a.test", "cn.test", "b.sub.test", "q.wild.test"):
        assert "verify failure" in str(judge(world, name, change=forge))


def test_stripped_signatures(world: World) -> None:
    for name in ("a.test", "b.sub.test"):
        assert str(judge(world, name, change=strip("RRSIG"))).endswith("is not signed, and all zones above it are")
    assert judge(world, "c.open.test", change=strip("RRSIG")) is Trust.INSECURE, "nothing there is signed"


def test_forged_denials(world: World) -> None:
    def gone(message: dns.message.Message) -> None:
        """There is nothing: as anybody can say."""
        message.answer.clear()
        message.authority.clear()
        message.set_rcode(dns.rcode.NXDOMAIN)

    assert "is not signed" in str(judge(world, "a.test", change=gone))

    def replayed(message: dns.message.Message) -> None:
        """The denial of another name."""
        message.answer.clear()
        message.authority[:] = [
            each for each in world.answer("no.test.", "TXT").authority if each.name != dns.name.from_text("a.test.")
        ]
        message.set_rcode(dns.rcode.NXDOMAIN)

    assert judge(world, "a.test", change=replayed) == "it is not proved that a.test. does not exist"

    def empty(message: dns.message.Message) -> None:
        replayed(message)
        message.set_rcode(dns.rcode.NOERROR)

    assert judge(world, "a.test", change=empty) == "it is not proved that a.test. has no such records"


def test_a_wildcard_for_a_name_that_exists(world: World) -> None:
    assert "made of a wildcard" in str(judge(world, "q.wild.test", change=strip("NSEC")))


def test_a_ds_that_names_another_key(world: World) -> None:
    assert judge(world, "d.broken.test") == "broken.test. has none of the keys that its DS or anchor names"


def test_a_delegation_whose_ds_is_hidden(world: World) -> None:
    """Without proof a signed zone is not taken for an unsigned one."""

    class Hiding(World):
        def answer(self, name: dns.name.Name | str, kind: str) -> dns.message.Message:
            message = world.answer(name, kind)
            if kind == "DS":
                strip("DS")(message)
                strip("RRSIG")(message)
            return message

    hiding = Hiding.__new__(Hiding)
    hiding.zones, hiding.asked, hiding.anchor = world.zones, [], world.anchor
    assert judge(hiding, "b.sub.test", change=strip("RRSIG")) == "it is not proved that sub.test. has no DS"
    assert judge(hiding, "b.sub.test") == "it is not proved that sub.test. has no DS"


def test_signatures_have_their_time(world: World) -> None:
    assert "expired" in str(judge(world, "a.test", clock=lambda: time.time() + 10 * 86400))
    assert "not yet valid" in str(judge(world, "a.test", clock=lambda: time.time() - 10 * 86400))


def test_another_anchor(world: World) -> None:
    other = World().anchor
    assert "has none of the keys" in str(judge(world, "a.test", anchors=read_anchors(other)))


def test_an_anchor_of_an_algorithm_nobody_knows_is_as_none(world: World) -> None:
    anchors = read_anchors("test. 300 IN DS 1 250 2 " + "00" * 32)
    assert judge(world, "a.test", anchors=anchors) is Trust.INSECURE


def test_a_key_as_anchor(world: World) -> None:
    key = world.zones["test."].find_rdataset(dns.name.from_text("test."), "DNSKEY")[0]
    assert judge(world, "a.test", anchors=read_anchors(f"test. IN DNSKEY {key}\n")) is Trust.SECURE


def test_anchors_from_a_file() -> None:
    assert read_anchors("; nothing\n") == {}
    with pytest.raises(ValueError, match="not a file of DS or DNSKEY records"):
        read_anchors(". IN DS junk\n")


def test_zones_are_remembered(world: World) -> None:
    validator = Validator(world.fetch, read_anchors(world.anchor))

    async def twice() -> int:
        for _ in range(2):
            world.asked.clear()
            assert await validator.judge(world.answer("b.sub.test.", "TXT"), "b.sub.test", "TXT") is Trust.SECURE
        return len(world.asked)

    assert asyncio.run(twice()) == 0


def test_work_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnssec, "MOST_FETCHES", 1)
    monkeypatch.setattr(dnssec._Budget.__init__, "__defaults__", (1, 64))
    assert judge(world, "b.sub.test") == "more than 1 questions would be needed to validate it"
    monkeypatch.setattr(dnssec, "MOST_VERIFICATIONS", 2)
    monkeypatch.setattr(dnssec._Budget.__init__, "__defaults__", (80, 2))
    assert judge(world, "b.sub.test") == "more than 2 signatures would have to be checked"


def test_a_server_that_fails_is_no_forger(world: World) -> None:
    async def fetch(name: str, kind: str) -> dns.message.Message:
        raise HostError("no answer")

    validator = Validator(fetch, read_anchors(world.anchor))
    with pytest.raises(HostError):
        asyncio.run(validator.judge(world.answer("a.test.", "TXT"), "a.test", "TXT"))
