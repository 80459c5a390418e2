# SPDX-License-Identifier: GPL-2.0-or-later
"""ca sections."""

from __future__ import annotations

import pytest

from openswan.base.errors import ConfigError
from openswan.config.authority import Authority, build_authorities
from openswan.config.complaint import Complaint
from openswan.config.parser import parse


def read(name: str) -> tuple[bytes, ...]:
    if name.startswith("lab"):
        return (name.encode(),)
    raise ConfigError(f"cannot read certificate '{name}'")


def build(text: str) -> tuple[tuple[Authority, ...], list[str]]:
    parsed = parse(text, "f", lambda pattern, directory: [])
    complaints: list[Complaint] = list(parsed.complaints)
    found = build_authorities(parsed.authorities, read, complaints)
    return found, [str(one) for one in complaints]


def test_whole_sections() -> None:
    found, complaints = build(
        "ca lab\n\tcacert=lab.pem\n\tcrluri=http://a/\n\tcrluri2=HTTP://b/\n\tocspuri1=http://c/\n\tauto=add\n"
        "conn x\n\tleft=192.0.2.1\n"
        "ca other\n\tcacert=lab2.pem\n\tauto=start\n"
        "ca third\n\tcacert=lab3.pem\n\tcerturibase=http://d/certs/\n\tauto=add\n"
        "ca asleep\n\tcacert=none.pem\n"
    )
    assert complaints == []
    assert found == (
        Authority("lab", b"lab.pem", ("http://a/", "HTTP://b/"), ("http://c/",)),
        Authority("other", b"lab2.pem"),
        Authority("third", b"lab3.pem", certificate_base="http://d/certs/"),
    )


def test_defaults() -> None:
    found, complaints = build("ca %default\n\tauto=add\n\tcrluri=http://all/\nca lab\n\tcacert=lab.pem\n")
    assert found == (Authority("lab", b"lab.pem", ("http://all/",)),) and complaints == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("\tauto=add\n", 'f:1: ca "lab": cacert= is missing'),
        ("\tcacert=no.pem\n\tauto=add\n", "f:2: ca \"lab\": cacert=: cannot read certificate 'no.pem'"),
        ("\tcacert=lab.pem\n\tcrluri=ldap://x/\n\tauto=add\n", "crluri=ldap://x/: only http://... is fetched"),
        ("\tcacert=lab.pem\n\tcerturibase=https://x/\n\tauto=add\n", "certuribase=https://x/: only http://... is"),
        ("\tcacert=lab.pem\n\tauto=perhaps\n", "keyword auto, invalid value: perhaps"),
        ("\tcacert=lab.pem\n\tcrlurl=http://x/\n\tauto=add\n", "did you mean 'crluri'"),
        ("\tcacert=lab.pem\n\tleft=192.0.2.1\n\tauto=add\n", "keyword 'left' belongs in conn"),
    ],
)
def test_mistakes(lines: str, reason: str) -> None:
    found, complaints = build("ca lab\n" + lines + "ca good\n\tcacert=lab.pem\n\tauto=add\n")
    assert found == (Authority("good", b"lab.pem"),), complaints
    assert any(reason in line for line in complaints), complaints


def test_what_is_not_acted_on_is_told() -> None:
    found, complaints = build("ca lab\n\tcacert=lab.pem\n\tldaphost=x\n\tauto=add\n")
    assert (len(found) == 1 and 'warning: ca "lab"' in complaints[0].replace("f:3: ", "")) or "LDAP" in complaints[0]
    found, complaints = build("ca lab\n\tcacert=lab.pem\n\tauto=add\nca lab\n\tcacert=lab2.pem\n\tauto=add\n")
    assert found == (Authority("lab", b"lab.pem"),) and "defined twice" in complaints[0]
    _, complaints = build("ca\n")
    assert "'ca NAME' is wanted, with one name" in complaints[0]
