# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of known peers: what is written is read, and nothing else is."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.errors import ConfigError
from openswan.policy.grade import Grade
from openswan.policy.known import HEAD, MOST_LINES, MOST_OCTETS, KnownPeer, parse_known, text_of

ONE = KnownPeer(ip_address("10.0.0.7"), False, Grade.DNSSEC, 1767225600, 1767229200, 0)
CALLED = KnownPeer(ip_address("192.0.2.7"), False, Grade.NULL, 1767225600, 0, 0, ip_address("100.64.0.3"))
OTHER = KnownPeer(ip_address("2001:db8::9"), True, None, 0, 0, 1767226000)


def test_what_is_written_is_read() -> None:
    text = text_of((ONE, OTHER, CALLED))
    assert text.splitlines()[1:] == [
        "host 10.0.0.7 dnssec 1767225600 1767229200 0",
        "lan 2001:db8::9 - 0 0 1767226000",
        "host 192.0.2.7 null 1767225600 0 0 100.64.0.3",
    ]
    assert parse_known(text) == (ONE, OTHER, CALLED) and parse_known(text_of(())) == ()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "host 10.0.0.7 dnssec 1 2",
        "host 10.0.0.7 dnssec 1 2 3 4",
        "other 10.0.0.7 dnssec 1 2 3",
        "host 10.0.0 dnssec 1 2 3",
        "host fe80::1%eth0 dnssec 1 2 3",
        "host 10.0.0.7 best 1 2 3",
        "host 10.0.0.7 dnssec -1 2 3",
        "host 10.0.0.7 dnssec 1.5 2 3",
        "host 10.0.0.7 dnssec 01 2 3",
        "host 10.0.0.7 dnssec 9999999999999 2 3",
        "host  10.0.0.7 dnssec 1 2 3",
        "host 10.0.0.7 dnssec 1 2 3 fe80::1%eth0",
        "host 10.0.0.7 dnssec 1 2 3 100.64.0.3 100.64.0.4",
        "host 10.0.0.8 dnssec 1 2 3\nhost 10.0.0.8 - 0 0 3",
    ],
    ids=lambda line: line.replace(" ", "_")[-30:] or "empty",
)
def test_one_wrong_line_and_nothing_counts(line: str) -> None:
    with pytest.raises(ConfigError, match=r"line [34] is"):
        parse_known(f"{HEAD}\nhost 10.0.0.1 null 1 2 3\n{line}\n")


@pytest.mark.parametrize("length", range(len(text_of((ONE,)))))
def test_cut_off_anywhere_and_nothing_counts(length: int) -> None:
    text = text_of((ONE,))[:length]
    if text != text_of(()):
        with pytest.raises(ConfigError):
            parse_known(text)


def test_how_many_there_may_be() -> None:
    longest = "lan " + "ffff:" * 7 + f"ffff raw-key {1 << 40} {1 << 40} {1 << 40}\n"
    assert len(longest) * MOST_LINES + len(HEAD) + 1 <= MOST_OCTETS
    lines = [f"host {ip_address(0x0A000000 + n)} null 1 2 3\n" for n in range(MOST_LINES + 1)]
    assert len(parse_known(HEAD + "\n" + "".join(lines[:-1]))) == MOST_LINES
    with pytest.raises(ConfigError, match="more than"):
        parse_known(HEAD + "\n" + "".join(lines))
