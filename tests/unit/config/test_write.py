# SPDX-License-Identifier: GPL-2.0-or-later
"""Written configuration is what the old program wrote, and reads back the same."""

import re
from pathlib import Path

import pytest

from openswan.config import write
from openswan.config.files import disk_reader
from openswan.config.parser import Parsed, parse
from openswan.config.plain import connection_from_plain, connection_to_plain
from openswan.config.write import quoted, write_config

DATA = Path(__file__).parents[4] / "shared/data/conf"


def read(path: Path) -> Parsed:
    return parse(path.read_text(), str(path), disk_reader())


def flat(path: Path) -> str:
    parsed = read(path)
    assert not any(one.complaints for one in parsed.conns)
    return write_config(parsed.setup, parsed.conns)


@pytest.mark.parametrize("number", ["06", "08", "09"])
def test_flattened_as_the_old_program_did(number: str) -> None:
    folder = DATA / f"readwriteconf-{number}"
    assert flat(folder / "ipsec.conf") == (folder / "ipsec-flat.conf").read_text()


def test_equals_signs_in_a_key() -> None:
    folder = DATA / "readwriteconf-12"
    # The file also caught what --debug printed before the configuration.
    want = (folder / "gimli-flat.conf").read_text().split("gimli.conf\n", 1)[1]
    assert flat(folder / "gimli.conf") == want


@pytest.mark.parametrize("name", ["gimli-flat.conf", "tygerteam-flat.conf"])
def test_implicit_conns(name: str) -> None:
    """The two recordings differ among themselves in implicit nexthops, and each says both rekey=no and rekey=yes."""

    def bare(text: str) -> list[str]:
        kept = [line for line in text.splitlines() if "rekey=" not in line and line != "\tleftnexthop=%defaultroute"]
        return [line for line in kept if line != "\trightnexthop=%defaultroute"]

    folder = DATA / "readwriteconf-13"
    got = flat(folder / "tygerteam.conf")
    assert bare(got) == bare((folder / name).read_text())
    assert got.count("\trekey=no\n") == 3 and got.count("\trekey=yes\n") == 1


@pytest.mark.parametrize("path", ["06/ipsec.conf", "08/ipsec.conf", "09/ipsec.conf", "12/gimli.conf"])
def test_what_is_written_reads_back_the_same(path: str) -> None:
    first = read(DATA / f"readwriteconf-{path}")
    text = write_config(first.setup, first.conns)
    second = parse(text, "f", disk_reader())
    assert second.complaints == [] and not any(one.complaints for one in second.conns)
    # also= has been worked in, so only its remark is missing the second time.
    assert write_config(second.setup, second.conns) == re.sub(r"\t#also = .*\n", "", text)


SOURCE = """\
config setup
	logfile="/x y"
	UNIQUEIDS=off
conn a
	left=1.1.1.1
	x-who="me too"
	keylife=1h
	ESP=aes
	auto=ondemand
	leftid=@a
	authby=never
	type=pass
	leftsubnets={10.0.0.0/8 10.1.0.0/16}
	pfs=maybe
"""
WRITTEN = """\
#conn a loaded

version 2.0

config setup
	uniqueids=no
	plutostderrlog="/x y"


# begin conn a
conn a
	x-who="me too"
	left=1.1.1.1
	leftid="@a"
	leftsubnets="10.0.0.0/8 10.1.0.0/16"
	salifetime=3600
	phase2alg=aes
	auto=route
	type=passthrough
	pfs=maybe
	authby=never
# end conn a

# end of config

"""


def test_everything_in_canonical_spelling() -> None:
    parsed = parse(SOURCE, "f", lambda pattern, directory: [])
    assert write_config(parsed.setup, parsed.conns) == WRITTEN


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("a", "a"),
        ("", '""'),
        ("a b", '"a b"'),
        ("#a", '"#a"'),
        ("{a", '"{a"'),
        ('say "hi" now', '{say "hi" now}'),
    ],
)
def test_quoting(value: str, want: str) -> None:
    assert quoted(value) == want
    [conn] = parse(f"conn a\n\tx-y={quoted(value)}\n", "f", lambda pattern, directory: []).conns
    assert conn.complaints == [] and conn.remarks == (("x-y", value),)


def test_plain_forms_are_here_too() -> None:
    assert write.connection_to_plain is connection_to_plain and write.connection_from_plain is connection_from_plain
