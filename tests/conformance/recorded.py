# SPDX-License-Identifier: GPL-2.0-or-later
"""What the shared samples are, what their own programs said of them, and how ours compares."""

from __future__ import annotations

import tempfile
from pathlib import Path

from openswan.config.files import disk_reader
from openswan.config.groupfile import read_group
from openswan.config.parser import parse
from openswan.config.secretsfile import load_secrets
from openswan.config.write import write_config
from tests.conformance.survey import load_sample
from tests.shareddata import DATA

CONF = DATA / "conf"
SAMPLES = tuple(
    str(path.relative_to(DATA))
    for path in (
        *sorted(CONF.glob("readwriteconf-*/*.conf")),
        *sorted(CONF.glob("pairs/*/v2")),
        CONF / "quotes/v2",
        *sorted(CONF.glob("shipped/*.conf.in")),
    )
    if "flat" not in path.name and path.name != "sysctl.conf.in"
)
ORACLE = {"conf/shipped/hub-spoke.conf.in": False}
"""That one has prose between its conns, at which every parser of theirs stops too."""
FLAT = {
    "readwriteconf-06/ipsec.conf": "ipsec-flat.conf",
    "readwriteconf-08/ipsec.conf": "ipsec-flat.conf",
    "readwriteconf-09/ipsec.conf": "ipsec-flat.conf",
    "readwriteconf-12/gimli.conf": "gimli-flat.conf",
    "readwriteconf-13/tygerteam.conf": "tygerteam-flat.conf",
}


def recorded() -> dict[str, str]:
    """Each configuration with a recorded flat form: empty, or the first line that differs."""
    found = {}
    for source, flat in FLAT.items():
        path = CONF / source
        parsed = parse(path.read_text(), str(path), disk_reader())
        got = _comparable(write_config(parsed.setup, parsed.conns))
        want = _comparable((path.parent / flat).read_text())
        pairs = zip(got, want, strict=False)
        found[source] = next(
            (f"{a!r} for {b!r}" for a, b in pairs if a != b), "" if len(got) == len(want) else "length"
        )
    return found


def _comparable(text: str) -> list[str]:
    """Without what --debug printed into one recording, and without the two keywords in which two others differ.

    Those are written by hand there: each says both rekey=no and rekey=yes of a conn, or names nexthops that the
    configuration does not.
    """
    lines = text.partition("#conn ")[2].splitlines()
    vague = ("\tleftnexthop=%defaultroute", "\trightnexthop=%defaultroute")
    if "\toe=yes" in lines:
        return [line for line in lines if "rekey=" not in line and line not in vague]
    return lines


def secrets() -> dict[str, str]:
    """Each ipsec.secrets of the recorded dialogues: empty, or what is wrong with it."""
    found = {}
    for path in sorted(DATA.glob("invitro/*/ipsec.secrets/*")):
        with tempfile.TemporaryDirectory() as folder:
            # Only the mode differs: a file that others can read is not used.
            copy = Path(folder, "ipsec.secrets")
            copy.touch(0o600)
            copy.write_bytes(path.read_bytes())
            store, complaints = load_secrets(copy)
        found[str(path.relative_to(DATA))] = "; ".join(complaints) or ("" if store.secrets else "nothing in it")
    return found


def policies() -> dict[str, str]:
    """Each policy group file: empty, or what is wrong with it."""
    group = load_sample(CONF / "readwriteconf-13/tygerteam.conf").named("clear")[0]
    found = {}
    shipped = [CONF / "shipped/private.in", CONF / "shipped/private-or-clear.in"]
    for path in [*shipped, *sorted(DATA.glob("invitro/*/ipsec.d/*/policies/*"))]:
        _, complaints = read_group(path.read_text(), str(path), group)
        found[str(path.relative_to(DATA))] = "; ".join(map(str, complaints))
    return found
