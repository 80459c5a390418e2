# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes in ipsec.secrets and among certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from openswan.diagnosis.facts import Certificate, Facts
from openswan.diagnosis.finding import Finding, Kind
from openswan.policy.connection import SIGNATURES, Auth

KEYS = Kind.KEYS
SKEW = 300.0
"""Seconds between clocks that are not worth a word: files may lie on another host."""


def no_file(facts: Facts) -> Iterator[Finding]:
    """The file is missing, although a conn wants something of it."""
    wanted = [conn.name for conn in facts.config.conns if conn.auth & (Auth.PSK | SIGNATURES)]
    if facts.secrets.mode is None and wanted:
        remedy = f'write `: PSK "..."\' or run: ipsec newhostkey --output {facts.secrets.path}'
        yield Finding(
            "no-secrets-file",
            KEYS,
            94,
            f"there is no {facts.secrets.path}",
            (f"wanted by {', '.join(wanted[:5])}",),
            remedy,
        )


def open_file(facts: Facts) -> Iterator[Finding]:
    """Others can read it: it is not used."""
    mode = facts.secrets.mode
    if mode is not None and mode & 0o077:
        yield Finding(
            "secrets-mode",
            KEYS,
            94,
            f"{facts.secrets.path} can be read by others and is not used",
            (f"its mode is {mode:04o}",),
            f"chmod 600 {facts.secrets.path} && ipsec auto --rereadsecrets",
        )


def broken(facts: Facts) -> Iterator[Finding]:
    """Lines that mean nothing."""
    if facts.secrets.complaints and not (facts.secrets.mode or 0) & 0o077:
        first = facts.secrets.complaints[0]
        weight = 90 if facts.secrets.missing else 45
        yield Finding(
            "secrets-error",
            KEYS,
            weight,
            f"an error in {facts.secrets.path}",
            facts.secrets.complaints[:3],
            f"mend it: {first}; then: ipsec auto --rereadsecrets",
        )


def missing(facts: Facts) -> Iterator[Finding]:
    """A conn finds nothing to prove itself by."""
    if facts.secrets.mode is None or facts.secrets.mode & 0o077:
        return
    for conn, what in facts.secrets.missing.items():
        if not _up(facts, conn):
            yield Finding(
                "no-secret",
                KEYS,
                86,
                f"{facts.secrets.path} has nothing for conn {conn}",
                (what,),
                f"add to {facts.secrets.path}: {what}; then: ipsec auto --rereadsecrets",
                conn,
            )


def unread(facts: Facts) -> Iterator[Finding]:
    """The file is newer than what the daemon has read."""
    reread = max((line.time for line in facts.log if "loading secrets" in line.text), default=facts.daemon.started)
    if facts.daemon.alive and facts.secrets.mode is not None and reread and facts.secrets.changed > reread + 1.0:
        down = [conn.name for conn in facts.config.conns if not _up(facts, conn.name)]
        yield Finding(
            "secrets-unread",
            KEYS,
            85 if down else 20,
            f"{facts.secrets.path} has changed since pluto read it",
            (f"changed {facts.secrets.changed - reread:.0f} s after it was read",),
            "ipsec auto --rereadsecrets",
        )


def clock(facts: Facts) -> Iterator[Finding]:
    """This host's clock is behind: files here were written later than it is now."""
    written = ((facts.config.changed, facts.config.path), (facts.secrets.changed, facts.secrets.path))
    latest, path = max(*written, (facts.daemon.started if facts.daemon.alive else 0.0, "pluto.pid"))
    if latest <= facts.now + SKEW:
        return
    matters = any(one.start.timestamp() > facts.now for one in (*facts.certificates, *facts.authorities))
    yield Finding(
        "clock-behind",
        Kind.MACHINE,
        88 if matters else 28,
        "the clock of this host is behind" + (", and certificates are not valid yet by it" if matters else ""),
        (f"by it it is {_clock(facts.now)}", f"{path} was written at {_clock(latest)}"),
        "set the clock (chronyc makestep, or date -s), and have something keep it (chrony, systemd-timesyncd); then: "
        "ipsec auto --rereadall",
    )


def dates(facts: Facts) -> Iterator[Finding]:
    """Certificates whose time is over or has not come."""
    for one in (*facts.certificates, *facts.authorities):
        whose = f"conn {one.conn}: {one.side}cert={one.name}" if one.conn else f"the authority {one.name}"
        shown = f"{one.subject}: {one.start:%Y-%m-%d %H:%M} to {one.end:%Y-%m-%d %H:%M} UTC"
        weight = 84 if one.conn else 60
        if one.end.timestamp() < facts.now:
            yield Finding(
                "cert-expired",
                KEYS,
                weight,
                f"{whose} has expired",
                (shown,),
                "have it renewed and put it in its place; then: ipsec auto --rereadall",
                one.conn,
            )
        elif one.start.timestamp() > facts.now:
            yield Finding(
                "cert-not-yet-valid",
                KEYS,
                weight,
                f"{whose} is not valid yet: is the clock right?",
                (shown, f"by this host's clock it is {_clock(facts.now)}"),
                "set the clock (chronyc makestep, or date -s), or have the certificate issued anew",
                one.conn,
            )


def keyless(facts: Facts) -> Iterator[Finding]:
    """Our certificate without its private key."""
    for one in facts.certificates:
        if not one.key and _ours(facts, one) and one.conn not in facts.secrets.missing:
            yield Finding(
                "no-private-key",
                KEYS,
                86,
                f"conn {one.conn}: the private key of {one.name} is not here",
                (one.subject,),
                f"add to {facts.secrets.path}: : RSA {one.name}; then: ipsec auto --rereadsecrets",
                one.conn,
            )


def orphaned(facts: Facts) -> Iterator[Finding]:
    """A certificate whose authority is not known here."""
    for one in facts.certificates:
        if not one.issued and not _up(facts, one.conn):
            yield Finding(
                "no-authority",
                KEYS,
                58 if _ours(facts, one) else 83,
                f"conn {one.conn}: the authority that issued {one.name} is not in ipsec.d/cacerts",
                (one.subject,),
                "put its certificate into ipsec.d/cacerts; then: ipsec auto --rereadcacerts",
                one.conn,
            )


def _ours(facts: Facts, one: Certificate) -> bool:
    conn = next((conn for conn in facts.config.conns if conn.name == one.conn), None)
    ends = facts.ours(conn) if conn is not None else None
    return ends is not None and conn is not None and ends[0] is getattr(conn, one.side)


def _up(facts: Facts, conn: str) -> bool:
    return bool(facts.children(conn))


def _clock(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC"


RULES = (no_file, open_file, broken, missing, unread, clock, dates, keyless, orphaned)
