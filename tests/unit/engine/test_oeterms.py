# SPDX-License-Identifier: GPL-2.0-or-later
"""From ipsec.conf to terms."""

from openswan.base.said import Shunt
from openswan.config.load import load_text
from openswan.engine.oeevents import Terms
from openswan.engine.oestates import State
from openswan.engine.oeterms import terms_of
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance


def terms(body: str) -> Terms:
    lines = "".join(f"\t{line}\n" for line in body.split(";") if line)
    text = f"conn x\n\tleft=%defaultroute\n\tright=%oppogroup\n{lines}"
    [made] = load_text(text, "f", lambda pattern, directory: [], lambda name: ()).opportunistic
    return terms_of(made)


def test_the_implicit_conns() -> None:
    loaded = load_text("config setup\n\toe=yes\n", "f", lambda pattern, directory: [], lambda name: ())
    made = {conn.name: terms_of(conn, 60.0) for conn in loaded.opportunistic}
    assert made["private"] == Terms("private", Stance.PRIVATE, State.DROP, keying_tries=3, lifetime=60.0)
    assert made["private-or-clear"].failure is State.PASS and made["private-or-clear"].asks_dns
    assert not made["private-or-clear"].calls_directly


def test_what_keywords_say() -> None:
    said = terms(
        "failureshunt=reject;negotiationshunt=passthrough;holdtimeout=5s;keyingtries=7;authgrade=dnssec;keepgrade=yes"
    )
    assert (said.failure, said.negotiation, said.hold_timeout, said.keying_tries) == (State.REJECT, Shunt.PASS, 5.0, 7)
    assert (said.least, said.keep, said.lifetime) == (Grade.DNSSEC, True, 900.0)
    assert terms("negotiationshunt=drop").negotiation is Shunt.DROP
    assert terms("").failure is State.DROP and terms("failureshunt=hold").failure is State.DROP


def test_what_needs_the_dns() -> None:
    def needs(body: str) -> tuple[bool, bool]:
        said = terms(body)
        return said.asks_dns, said.calls_directly

    assert needs("authby=rsasig") == (True, False)
    assert needs("authby=null") == needs("authby=secret") == needs("rightid=%fromcert") == (False, True)
    assert needs("authby=rsasig,null") == (True, True)
