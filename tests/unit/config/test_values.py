# SPDX-License-Identifier: GPL-2.0-or-later
"""Keywords of a conn read by name: defaults, canonical values, complaints that say where."""

from openswan.base.errors import ConfigError
from openswan.config.parser import parse
from openswan.config.values import Values

UNITS = {"": 1, "ki": 1024}


def values(*lines: str) -> Values:
    """Of a conn x in a file f with these lines, from line 2 on."""
    text = "conn x\n" + "".join(f"\t{line}\n" for line in lines)
    [flat] = parse(text, "f", lambda pattern, directory: []).conns
    made = Values(flat, [])
    made.check_keywords()
    return made


def said(of: Values) -> list[str]:
    return [str(one) for one in of.complaints]


def test_what_is_given_and_what_is_not() -> None:
    given = values("pfs=no", "keyingtries=3", "ikelifetime=2h", "leftsendcert=ifasked", "connalias=y")
    assert given.complaints == [] and not given.broken
    assert not given.yes("pfs") and given.number("keyingtries") == 3 and given.time("ikelifetime") == 7200
    assert given.of_side("sendcert", "left") == "ifasked" and given.of_side("sendcert", "right", "always") == "always"
    assert given.value("connalias") == "y" and given.param("sendcert", "left") is not None
    nothing = values()
    assert nothing.yes("pfs") and nothing.number("keyingtries") == 0 and nothing.time("ikelifetime") == 3600
    assert nothing.value("connalias", "none") == "none" and nothing.param("pfs") is None


def test_a_reader_that_refuses_is_complained_of_and_the_default_taken() -> None:
    def refuse(text: str) -> int:
        raise ConfigError(f"'{text}' is not liked")

    given = values("leftid=@me")
    assert given.read("id", "left", refuse, 7) == 7 and given.read("id", "right", refuse, 8) == 8
    assert given.read("id", "left", len, 0) == 3
    assert said(given) == ["f:2: conn \"x\": leftid=: '@me' is not liked"] and given.broken == 1


def test_amounts() -> None:
    assert values("ipsec-max-bytes=4ki").amount("ipsec-max-bytes", UNITS) == 4096
    assert values().amount("ipsec-max-bytes", UNITS) == 0
    for text in ("999", "4zi", "9223372036854775808"):
        given = values(f"ipsec-max-bytes={text}")
        assert given.amount("ipsec-max-bytes", UNITS) == 0
        assert said(given) == [
            f'f:2: conn "x": ipsec-max-bytes={text}: a number of 1000 to 2^63-1, perhaps with ki is wanted'
        ]


def test_more_than_nothing() -> None:
    given = values("holdtimeout=0")
    assert given.positive("holdtimeout", 0) == 0 and given.positive("holdtimeout", 1) == 1
    assert said(given) == ['f:2: conn "x": holdtimeout must be more than 0']


def test_obsolete_refused_and_unacted_keywords() -> None:
    assert "obsolete keyword 'leftcerttype' ignored" in said(values("leftcerttype=x509"))[0]
    assert not values("leftcerttype=x509").broken and not values("pfsgroup=modp2048").broken
    assert "priority=7 is not acted on" in said(values("priority=7"))[0]
    assert values("groundhog=yes").broken and values("pfs=perhaps").broken and values("leftespenckey=0x01").broken
