# SPDX-License-Identifier: GPL-2.0-or-later
"""Look-ups against servers of the test's own: one for all that wait, caching, several servers, trails, DNSSEC."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode

from openswan.host import dnslookup
from openswan.host.dnslookup import FAILURE_TTL, DnsLookup, Places
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus
from tests.unit.host.dnsserver import Server, reply, serving

FOUND, ABSENT, FAILED, BOGUS = DnsStatus
TXT = "a.example. 60 TXT x"


def good(query: dns.message.Message, tcp: bool) -> dns.message.Message:
    name = query.question[0].name
    return (
        reply(query, f"{name} 60 TXT x") if name.to_text() != "no.example." else reply(query, code=dns.rcode.NXDOMAIN)
    )


def silent(query: dns.message.Message, tcp: bool) -> None:
    return None


def failing(query: dns.message.Message, tcp: bool) -> dns.message.Message:
    return reply(query, code=dns.rcode.REFUSED)


class Clock:
    """Real time and what a test adds."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


def run(
    tmp_path: Path,
    work: Callable[[DnsLookup, Clock], Awaitable[None]],
    lifetime: float = 2.0,
    signed: bool = True,
    **servers: Server,
) -> None:
    """Serve at 127.0.0.N (`sN`), listed in resolv.conf in that order, and do `work`."""

    async def do() -> None:
        conf = tmp_path / "resolv.conf"
        conf.write_text("".join(f"nameserver 127.0.0.{name[1:]}\n" for name in servers))
        async with serving(**servers) as port:
            clock = Clock()
            await work(DnsLookup(conf, lifetime, port, clock, signed=signed), clock)

    asyncio.run(do())


def ask(
    tmp_path: Path, name: str = "a.example", lifetime: float = 2.0, signed: bool = True, **servers: Server
) -> DnsAnswer:
    answers: list[DnsAnswer] = []

    async def work(lookup: DnsLookup, clock: Clock) -> None:
        answers.append(await lookup.ask(name, "TXT"))

    run(tmp_path, work, lifetime, signed, **servers)
    return answers[0]


def test_found_and_absent(tmp_path: Path) -> None:
    answer = ask(tmp_path, "A.Example.", s1=Server(good))
    assert answer == DnsAnswer("a.example", "TXT", FOUND, (b"\x01x",), ttl=60.0)
    answer = ask(tmp_path, "no.example", s1=Server(good))
    assert (answer.status, answer.reason) == (ABSENT, "no.example does not exist")


def test_one_look_up_however_many_wait(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        impatient = asyncio.ensure_future(lookup.ask("a.example", "TXT"))
        waiting = [asyncio.ensure_future(lookup.ask("a.example", "TXT")) for _ in range(50)]
        await asyncio.sleep(0.05)
        impatient.cancel()  # the others get their answer all the same
        answers = await asyncio.gather(*waiting)
        assert {answer.status for answer in answers} == {FOUND} and len(server.asked) == 1
        await lookup.ask("a.example", "KEY")
        assert len(server.asked) == 2
        assert not lookup._running

    server = Server(good, delay=0.2)
    run(tmp_path, work, s1=server)


def test_ttls_are_honoured(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        await lookup.ask("a.example", "TXT")
        clock.skipped = 50.0
        answer = await lookup.ask("a.example", "TXT")
        assert 9 < answer.ttl <= 10 and len(server.asked) == 1
        clock.skipped = 61.0
        assert (await lookup.ask("a.example", "TXT")).ttl == 60 and len(server.asked) == 2
        await lookup.ask("no.example", "TXT")
        await lookup.ask("no.example", "TXT")
        assert len(server.asked) == 3, "a denial is remembered too"

    server = Server(good)
    run(tmp_path, work, s1=server)


def test_a_ttl_of_nothing_and_one_of_a_century(tmp_path: Path) -> None:
    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        ttl = 0 if query.question[0].name.to_text() == "a.example." else 0x7FFFFFFF
        return reply(query, f"{query.question[0].name} {ttl} TXT x")

    assert ask(tmp_path, s1=Server(say)).ttl == 1.0
    assert ask(tmp_path, "b.example", s1=Server(say)).ttl == 86400.0


def test_the_next_server_is_asked_beside_a_silent_one_which_comes_last_then(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        begun = time.monotonic()
        assert (await lookup.ask("a.example", "TXT")).status is FOUND
        assert 0.3 < time.monotonic() - begun < 1.5
        assert (len(deaf.asked), len(second.asked)) == (1, 1)

    deaf, second = Server(silent), Server(good)
    run(tmp_path, work, s1=deaf, s2=second)


def test_a_server_that_refuses_is_left_at_once_and_shunned_for_a_while(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        begun = time.monotonic()
        assert (await lookup.ask("a.example", "TXT")).status is FOUND
        assert time.monotonic() - begun < 0.35
        await lookup.ask("b.example", "TXT")
        assert (len(first.asked), len(second.asked)) == (1, 2)
        clock.skipped = 31.0
        await lookup.ask("c.example", "TXT")
        assert len(first.asked) == 2

    first, second = Server(failing), Server(good)
    run(tmp_path, work, s1=first, s2=second)


def test_nobody_answers_in_time(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        begun = time.monotonic()
        answer = await lookup.ask("a.example", "TXT")
        assert time.monotonic() - begun < 1.5
        assert answer == DnsAnswer("a.example", "TXT", FAILED, ttl=FAILURE_TTL, reason=answer.reason)
        assert answer.reason == "no answer from 127.0.0.1 within 0.3 s; no answer from 127.0.0.2 within 0.3 s" or (
            answer.reason == "no DNS server answered about a.example within 0.3 s"
        )
        asked = len(first.asked)
        await lookup.ask("a.example", "TXT")
        assert len(first.asked) == asked, "a dead server is not asked for each packet"
        clock.skipped = FAILURE_TTL + 1
        await lookup.ask("a.example", "TXT")
        assert len(first.asked) > asked

    first = Server(silent)
    run(tmp_path, work, 0.3, s1=first, s2=Server(silent))


def test_all_servers_refuse(tmp_path: Path) -> None:
    answer = ask(tmp_path, s1=Server(failing), s2=Server(failing))
    assert (answer.status, answer.reason) == (FAILED, "127.0.0.1 answers REFUSED; 127.0.0.2 answers REFUSED")


def test_names_that_cannot_be_asked_for_and_no_servers(tmp_path: Path) -> None:
    answer = ask(tmp_path, "a" * 70 + ".example", s1=Server(good))
    assert answer.status is FAILED and "cannot be asked for" in answer.reason
    answer = ask(tmp_path, "a..b", s1=Server(good))
    assert answer.status is FAILED and "cannot be asked for" in answer.reason

    async def nowhere() -> DnsAnswer:
        return await DnsLookup(tmp_path / "absent").ask("a.example", "TXT")

    assert asyncio.run(nowhere()).reason == f"{tmp_path}/absent names no DNS server"


def test_a_trail_over_several_answers(tmp_path: Path) -> None:
    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        at = int(query.question[0].name.to_text()[1])
        name = query.question[0].name
        return reply(query, f"{name} {50 - at} CNAME n{at + 1}.example." if at < 3 else f"{name} 60 TXT x")

    answer = ask(tmp_path, "n0.example", s1=Server(say))
    assert (answer.status, answer.trail, answer.ttl) == (FOUND, ("n1.example", "n2.example", "n3.example"), 48)


def test_trails_that_do_not_end(tmp_path: Path) -> None:
    def circle(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        name = query.question[0].name.to_text()
        return reply(query, f"{name} 60 CNAME {'b' if name == 'a.example.' else 'a'}.example.")

    def endless(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        name = query.question[0].name.to_text()
        return reply(query, f"{name} 60 CNAME x{name}")

    assert ask(tmp_path, s1=Server(circle)).reason == "a.example leads to itself by CNAME"
    assert ask(tmp_path, s1=Server(endless)).reason == "a.example leads over more than 8 CNAMEs"


def test_tcp_for_long_answers(tmp_path: Path) -> None:
    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        message = reply(query, *(f'a.example. 60 TXT "{n:0200}"' for n in range(20 if tcp else 1)))
        message.flags |= 0 if tcp else dns.flags.TC
        return message

    assert len(ask(tmp_path, s1=Server(say)).records) == 20


def test_the_ad_bit_of_a_resolver_on_this_host(tmp_path: Path) -> None:
    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        assert query.flags & dns.flags.AD
        return reply(query, TXT, ad=True)

    assert ask(tmp_path, s1=Server(say)).secure
    assert not ask(tmp_path, s1=Server(good)).secure
    assert not ask(tmp_path, signed=False, s1=Server(say)).secure, "dnssec-enable=no"


def test_a_trail_is_secure_only_if_all_of_it_is(tmp_path: Path) -> None:
    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        first = query.question[0].name.to_text() == "a.example."
        return (
            reply(query, "a.example. 60 CNAME b.example.", ad=False)
            if first
            else reply(query, "b.example. 9 TXT x", ad=True)
        )

    answer = ask(tmp_path, s1=Server(say))
    assert answer.status is FOUND and not answer.secure


def bogus(query: dns.message.Message, tcp: bool) -> dns.message.Message:
    """A validating resolver that withholds an answer."""
    return good(query, tcp) if query.flags & dns.flags.CD else reply(query, code=dns.rcode.SERVFAIL)


def test_an_answer_withheld_because_of_its_signatures_is_bogus(tmp_path: Path) -> None:
    answer = ask(tmp_path, s1=Server(bogus), s2=Server(good))
    assert answer == DnsAnswer(
        "a.example", "TXT", BOGUS, ttl=FAILURE_TTL, reason="DNSSEC signatures about a.example are wrong"
    )


def test_what_extended_errors_say(tmp_path: Path) -> None:
    def say(code: int) -> Server:
        def answer(query: dns.message.Message, tcp: bool) -> dns.message.Message:
            message = reply(query, code=dns.rcode.SERVFAIL)
            message.use_edns(0, options=[dns.edns.EDEOption(code)])
            return message

        return Server(answer)

    assert ask(tmp_path, s1=say(6)).status is BOGUS
    assert ask(tmp_path, s1=say(22)).status is FAILED
    assert ask(tmp_path, s1=Server(lambda query, tcp: reply(query, code=dns.rcode.SERVFAIL))).status is FAILED


def test_another_resolv_conf_is_noticed_and_the_old_answers_forgotten(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        conf = tmp_path / "resolv.conf"
        await lookup.ask("a.example", "TXT")
        conf.write_text("nameserver 127.0.0.2\n")
        os.utime(conf, (1, 1))
        assert lookup.servers() == ("127.0.0.2",)
        await lookup.ask("a.example", "TXT")
        assert (len(first.asked), len(second.asked)) == (1, 1)

    first, second = Server(good), Server(good)
    run(tmp_path, work, s1=first, s2=second)


def test_what_a_look_up_loads_can_be_there_before_it() -> None:
    lines = (
        "import sys\nfrom openswan.host.dnslookup import NEEDED, prepare\nassert 'dns.resolver' not in sys.modules\n"
    )
    lines += "prepare()\nassert all(name in sys.modules for name in NEEDED)"
    subprocess.run([sys.executable, "-c", lines], check=True, timeout=30)


def test_of_those_that_wait_the_newest_is_next() -> None:
    async def work() -> list[str]:
        places, told = Places(1), list[str]()

        async def visit(name: str) -> None:
            async with places:
                told.append(name)
                await asyncio.sleep(0.01)

        first = [asyncio.create_task(visit(name)) for name in "abcd"]
        await asyncio.sleep(0)
        first[2].cancel()
        await asyncio.gather(*first, return_exceptions=True)
        await visit("e")
        # One that is called off as it is given its place passes it on.
        two = [asyncio.create_task(visit(name)) for name in "fgh"]
        await asyncio.sleep(0)
        places._leave()
        two[2].cancel()
        await asyncio.gather(*two, return_exceptions=True)
        return told

    assert "".join(asyncio.run(work())) == "adbefg"


def test_places_are_never_more_than_there_were() -> None:
    """One that gives up while it waits takes no place, and gives none back."""

    async def work() -> None:
        places = Places(1)
        async with places:
            waiting = [asyncio.create_task(places.__aenter__()) for _ in range(5)]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            places._leave()  # meets those that have given up, before they know it
            await asyncio.gather(*waiting, return_exceptions=True)
            places._free -= 1
        assert places._free == 1

    asyncio.run(work())


def nowhere(query: dns.message.Message, ad: bool = True) -> dns.message.Message:
    """A server that knows of a net without a name in it: 100.128.0.0/16; it exists itself above that."""
    there = query.question[0].name.to_text() == "100.in-addr.arpa."
    return reply(query, code=dns.rcode.NOERROR if there else dns.rcode.NXDOMAIN, ad=ad)


def test_a_signed_denial_goes_for_all_below(tmp_path: Path) -> None:
    """Where much is asked, it is found out for how wide a net that is; from then on nothing is asked about it."""
    server = Server(lambda query, tcp: nowhere(query))

    async def work(lookup: DnsLookup, clock: Clock) -> None:
        names = [f"{n}.3.128.100.in-addr.arpa" for n in range(dnslookup.BUSY + 1)]
        answers = await asyncio.gather(*(lookup.ask(name, "TXT") for name in names))
        assert {answer.status for answer in answers} == {ABSENT} and all(each.secure for each in answers)
        while lookup._running:
            await asyncio.sleep(0.001)
        asked = len(server.asked)
        other = await lookup.ask("9.9.128.100.in-addr.arpa", "IPSECKEY")
        assert (other.status, other.secure, other.reason) == (ABSENT, True, "128.100.in-addr.arpa does not exist")
        assert lookup.void("1.2.128.100.in-addr.arpa") is not None and lookup.void("1.2.129.100.in-addr.arpa") is None
        assert len(server.asked) == asked
        clock.skipped = 901.0
        await lookup.ask("9.9.128.100.in-addr.arpa", "IPSECKEY")
        assert len(server.asked) == asked + 1, "not for longer than any denial"

    run(tmp_path, work, s1=server)


def test_one_look_up_asks_for_nothing_but_itself(tmp_path: Path) -> None:
    server = Server(lambda query, tcp: nowhere(query))

    async def work(lookup: DnsLookup, clock: Clock) -> None:
        await lookup.ask("7.3.128.100.in-addr.arpa", "TXT")
        assert [name for name, _, _ in server.asked] == ["7.3.128.100.in-addr.arpa."]

    run(tmp_path, work, s1=server)


def test_a_denial_that_nobody_signed_goes_for_itself_alone(tmp_path: Path) -> None:
    """Who forges one hides one name, not a net."""
    server = Server(lambda query, tcp: nowhere(query, ad=False))

    async def work(lookup: DnsLookup, clock: Clock) -> None:
        names = [f"{n}.3.128.100.in-addr.arpa" for n in range(dnslookup.BUSY + 1)]
        await asyncio.gather(*(lookup.ask(name, "TXT") for name in names))
        assert len(lookup.voids) == 0 and {name.rstrip(".") for name, _, _ in server.asked} <= set(names)

    run(tmp_path, work, s1=server)


def test_how_many_may_wait_is_bounded(tmp_path: Path) -> None:
    async def work(lookup: DnsLookup, clock: Clock) -> None:
        waiting = [asyncio.ensure_future(lookup.ask(f"n{n}.example", "TXT")) for n in range(4)]
        await asyncio.sleep(0.05)
        late = await lookup.ask("late.example", "TXT")
        assert (late.status, late.reason) == (FAILED, "4 look-ups are under way already")
        assert {each.status for each in await asyncio.gather(*waiting)} == {FOUND}
        assert (await lookup.ask("late.example", "TXT")).status is FOUND

    before, dnslookup.MOST_WAITING = dnslookup.MOST_WAITING, 4
    try:
        run(tmp_path, work, s1=Server(good, delay=0.3))
    finally:
        dnslookup.MOST_WAITING = before
