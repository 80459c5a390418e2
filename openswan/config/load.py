# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole configuration: from the file to the connections that can be loaded and the complaints about the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.config import places
from openswan.config.authority import Authority, build_authorities
from openswan.config.build import build_conn
from openswan.config.certfile import CertFiles
from openswan.config.complaint import Complaint, error
from openswan.config.files import Reader, disk_reader, read_text
from openswan.config.groupfile import read_groups
from openswan.config.manualkeys import build_manual, is_manual
from openswan.config.opportunistic import unavailable
from openswan.config.parser import FlatConn, Parsed, parse
from openswan.config.secretsfile import p12_passphrases
from openswan.config.setup import Setup, build_setup
from openswan.config.side import CertReader
from openswan.policy.connection import Connection
from openswan.policy.groups import Target, group_end
from openswan.policy.manual import ManualConn


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a configuration means."""

    setup: Setup
    connections: tuple[Connection, ...]
    """Those without an error, in file order; one for each pair of leftsubnets= and rightsubnets=."""
    complaints: tuple[Complaint, ...]
    flat: tuple[FlatConn, ...] = ()
    """Every conn of the file, broken ones too, as written with also= and %default worked in."""
    manual: tuple[ManualConn, ...] = ()
    """Those with keys of their own, which the key exchange knows nothing of."""
    authorities: tuple[Authority, ...] = ()
    """ca sections that are to be used."""
    opportunistic: tuple[Connection, ...] = ()
    """Conns with %group, %opportunistic or %opportunisticgroup; those that need the DNS are not loaded so far."""
    groups: tuple[tuple[str, tuple[Target, ...]], ...] = ()
    """The files of policy groups by name: what their lines are about."""

    @property
    def failed(self) -> bool:
        """Is there any error?"""
        return any(one.fatal for one in self.complaints)

    def named(self, name: str) -> tuple[Connection, ...]:
        """Connections of that name or alias: exact names first, then without case, then aliases."""
        for fits in (
            lambda one: one.name == name,
            lambda one: one.name.lower() == name.lower(),
            lambda one: name.lower() in (alias.lower() for alias in one.aliases),
        ):
            if found := tuple(filter(fits, self.connections)):
                return found
        return ()

    def about(self, name: str) -> Iterator[Complaint]:
        """Complaints about one conn; that one which need not be whole has an end missing is said here only."""
        yield from (one for one in self.complaints if one.conn.lower() == name.lower())
        for flat in self.flat:
            if flat.name.lower() == name.lower() and is_manual(flat):
                yield error(f"it is manually keyed: use ipsec manual --up {flat.name}", flat.where, flat.name)
            elif flat.name.lower() == name.lower():
                missing = [side for side in ("left", "right") if (side, "") not in flat.params]
                for side in missing if flat.text("auto") in (None, "ignore") else ():
                    yield error(f"{side}= is missing", flat.where, flat.name)

    @property
    def unusable(self) -> frozenset[str]:
        """Conns that the file has and that cannot be loaded."""
        whole = {name for one in self.connections for name in (one.name, *one.aliases)}
        whole |= {one.name for one in self.manual}
        return frozenset(one.name for one in self.flat) - whole

    def broken(self, name: str) -> bool:
        """Does the file have a conn of that name that cannot be loaded?"""
        return any(one.name.lower() == name.lower() for one in self.flat) and not self.named(name)


def build(parsed: Parsed, certs: CertReader, authority: CertReader) -> Loaded:
    """What a parsed configuration means; `certs` reads what leftcert= names, `authority` what cacert= does."""
    complaints = list(parsed.complaints)
    setup = build_setup(parsed.setup, complaints)
    connections: list[Connection] = []
    opportunistic: list[Connection] = []
    manual: list[ManualConn] = []
    for flat in parsed.conns:
        if is_manual(flat):
            complaints += flat.complaints
            try:
                manual.append(build_manual(flat))
            except ConfigError as why:
                complaints.append(error(why.reason.removeprefix(f'conn "{flat.name}": '), flat.where, flat.name))
            continue
        made, about = build_conn(flat, setup, certs)
        complaints += about
        if made and (end := group_end(made[0])) is not None:
            opportunistic += made
            why_not = unavailable(made[0])
            if not why_not:
                connections += made
            if not why_not or flat.implicit:
                continue  # what nobody has written is nobody's mistake
            side = "left" if end is made[0].left else "right"
            text = f"{side}={end.host.kind.value}: {why_not}"
            complaints.append(error(text, flat.params[side, ""].where, flat.name))
            continue
        connections += made
    authorities = build_authorities(parsed.authorities, authority, complaints)
    return Loaded(
        setup,
        tuple(connections),
        tuple(complaints),
        tuple(parsed.conns),
        tuple(manual),
        authorities,
        tuple(opportunistic),
    )


def load_text(text: str, name: str, reader: Reader, certs: CertReader, authority: CertReader | None = None) -> Loaded:
    """A configuration given as text; never raises for what is in it."""
    return build(parse(text, name, reader), certs, authority or certs)


def load_authorities(path: str | os.PathLike[str]) -> tuple[tuple[Authority, ...], tuple[str, ...]]:
    """The ca sections of a configuration alone, and what is wrong with them; ConfigError when it cannot be read."""
    name = os.fspath(path)
    complaints: list[Complaint] = []
    parsed = parse(read_text(name), name, disk_reader(""))
    read = CertFiles(str(places.ipsec_d_in(parsed.setup))).authority
    found = build_authorities(parsed.authorities, read, complaints)
    return found, tuple(map(str, complaints))


def load(path: str | os.PathLike[str] | None = None, rootdir: str = "") -> Loaded:
    """The configuration at `path` (default: ipsec.conf of the configuration directory).

    ConfigError only when that file itself cannot be read; everything else is in the complaints. Certificates are
    looked for in ipsec.d beside the configuration directory's ipsec.conf, or where its ipsecdir= says. `rootdir` is put
    before absolute includes.
    """
    name = os.fspath(path if path is not None else paths.conf_file())
    try:
        text = read_text(name)
    except ConfigError as why:
        raise ConfigError(f"can not load config '{name}': {why.reason}") from None
    parsed = parse(text, name, disk_reader(rootdir))
    passphrases = partial(p12_passphrases, secrets=places.secrets_in(parsed.setup))
    files = CertFiles(f"{rootdir}{places.ipsec_d_in(parsed.setup)}", passphrases)
    return with_groups(build(parsed, files.own, files.authority), rootdir)


def with_groups(loaded: Loaded, rootdir: str = "") -> Loaded:
    """A configuration with the files of its policy groups read (again)."""

    def read(name: str) -> tuple[str, str] | None:
        path = f"{rootdir}{loaded.setup.ipsec_d or paths.ipsec_d()}/policies/{name}"
        return (path, read_text(path)) if os.path.lexists(path) else None

    groups, complaints = read_groups(loaded.opportunistic, read)
    return replace(loaded, groups=tuple(groups.items()), complaints=(*loaded.complaints, *complaints))
