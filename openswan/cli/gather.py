# SPDX-License-Identifier: GPL-2.0-or-later
"""Gathers what `ipsec diagnose` judges by: files, the daemon, the machine, the peers. Nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from openswan.base import paths
from openswan.base.address import Address
from openswan.base.errors import ConfigError, CryptoError, HostError
from openswan.base.interval import Duration
from openswan.cli import gathermachine
from openswan.cli.talk import request
from openswan.config import places
from openswan.config.load import load
from openswan.config.secrets import SecretStore
from openswan.config.secretsfile import load_secrets
from openswan.crypto import x509
from openswan.diagnosis.facts import Certificate, Config, Daemon, Facts, Line, Machine, Peer, Record, Secrets
from openswan.engine.identities import identity_of
from openswan.host import clock, process
from openswan.host.errands import Errands
from openswan.host.machine import Machine as Kernel
from openswan.policy.connection import SIGNATURES, Auth, Connection, End, HostKind
from openswan.policy.gateways import reverse_name

SECONDS = 2.5
"""All of a diagnosis, from the start of the process."""
LEAST_SECONDS = 1.0
"""What is left for looking where the machine is so busy that loading the program took most of it."""


def gather(target: str = "", address: Address | None = None, ping: bool = True) -> Facts:
    """Everything about one conn, about what covers one address, or about all conns. `ping`: may peers be asked?

    What takes time is looked at side by side; what is not known when the time is over is named in `unseen`.
    """
    errands = Errands(max(SECONDS - process.age(), LEAST_SECONDS))
    kernel = Kernel()
    state = process.pid_state(paths.pid_file())
    pid = state.pid if state.alive else 0
    machine = errands.send("the kernel, links and routes", lambda: gathermachine.machine(kernel, pid))
    tables = errands.send("the daemon", lambda: _tables(errands)) if state.alive else None
    filters = gathermachine.filters(kernel, errands)
    config = _config(target)
    daemon = Daemon(state.alive, orphan=state.exists and not state.alive, started=_changed(paths.pid_file()))
    facts = Facts(target, address, now=clock.unix(), config=config, daemon=daemon)
    facts = replace(facts, machine=machine.result(Machine(seen=False)))
    facts = facts if address is None else _covering(facts, address, errands)
    wanted = _wanted(facts)
    asked = gathermachine.peers(wanted, ping, errands)
    store, facts = _secrets(facts, kernel)
    facts = replace(facts, certificates=tuple(_certificates(facts, store)), authorities=tuple(_authorities()))
    facts = facts if tables is None else _daemon(facts, tables.result({}))
    facts = _gateways(facts, ping, errands)
    facts = replace(facts, firewall=gathermachine.firewalls(filters))
    found = dict(wanted)
    for each in asked.values():
        found |= each.result({})
    slow = next((peer.lookup for peer in found.values() if "no DNS server answered" in peer.lookup), "")
    policies = gathermachine.kernel_policies(filters)
    facts = replace(facts, peers=found, machine=replace(facts.machine, nameserver=slow, policies=policies))
    return replace(facts, unseen=tuple(errands.late))


def _wanted(facts: Facts) -> dict[str, Peer]:
    """The peers that can be looked at, by conn."""
    found = {}
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        if ends is not None and not conn.auth & Auth.NEVER and ends[1].host.kind in (HostKind.ADDRESS, HostKind.NAME):
            found[conn.name] = Peer(ends[1].host.name, ends[1].host.address)
    return found


def _config(target: str) -> Config:
    path = paths.conf_file()
    try:
        loaded = load(path)
    except ConfigError as why:
        return Config(str(path), error=str(why))
    conns = loaded.connections
    complaints = loaded.complaints
    manual = {one.name.lower() for one in loaded.manual}
    if target:
        conns = loaded.named(target)
        names = {target.lower(), *(one.name.lower() for one in conns)}
        complaints = tuple(one for one in complaints if not one.conn or one.conn.lower() in names)
        # Of a conn with keys of its own that would say that it is one.
        complaints += () if target.lower() in manual else tuple(loaded.about(target))
    return Config(
        str(path),
        complaints=tuple(dict.fromkeys(complaints)),
        conns=conns,
        names=tuple(flat.name for flat in loaded.flat if not flat.implicit),
        manual=tuple(one.name for one in loaded.manual),
        automatic={flat.name: flat.text("auto") or "ignore" for flat in loaded.flat},
        changed=_changed(path),
        keep_alive=loaded.setup.keep_alive,
    )


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _tables(errands: Errands) -> dict[str, Any]:
    """What the daemon says of itself, by verb; nothing when it does not answer."""
    try:
        return {verb: _plain(verb, errands.patience()) for verb in ("status", "events", "spi", "eroute", "counters")}
    except (HostError, ValueError):
        return {}


def _plain(verb: str, patience: Duration) -> Any:
    lines = request(verb, timeout=patience, json=True)
    return json.loads("".join(text for _, text in lines) or "null")


def _daemon(facts: Facts, tables: Mapping[str, Any]) -> Facts:
    if not tables:
        return replace(facts, daemon=replace(facts.daemon, answers=False))
    status = tables["status"]
    return replace(
        facts,
        daemon=replace(facts.daemon, listening=status["listening"]),
        connections=tuple(status["connections"]),
        ike_sas=tuple(status["ike_sas"]),
        child_sas=tuple(status["child_sas"]),
        sas=tuple(tables["spi"]),
        eroutes=tuple(tables["eroute"]),
        pairs=tuple(row for row in status["pairs"] if row["dst"] == str(facts.address)),
        guard=tables["counters"]["guard"],
        log=tuple(Line(one["time"], one["event"], one["text"]) for one in tables["events"]["lines"]),
    )


def _gateways(facts: Facts, ping: bool, errands: Errands) -> Facts:
    """Whom the DNS names for the address asked about, and whether they are there. `ping`: may they be asked?"""
    found = {
        Record(reverse_name(facts.address), one["record"], ip_address(one["gateway"]), one["signed"]): None
        for row in facts.pairs
        for one in row["advertised"]
        if facts.address is not None
    }
    wanted = {str(one.gateway): Peer(address=one.gateway) for one in found}
    known = dict(wanted)
    for each in gathermachine.peers(wanted, ping, errands).values() if wanted else ():
        known |= each.result({})
    return replace(
        facts,
        records=tuple(found),
        gateways={peer.address: peer for peer in known.values() if peer.address is not None},
    )


def _covering(facts: Facts, address: Address, errands: Errands) -> Facts:
    """Only the conns whose peer's client, or peer, the address is; and what the engine says of a packet to it."""
    conns = []
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        for end in ends[1:] if ends else (conn.left, conn.right):
            net = end.subnet
            if end.host.address == address or (net is not None and net.version == address.version and address in net):
                conns.append(conn)
                break
    source = next(
        (one for one, _ in facts.machine.addresses if one.version == address.version and not one.is_loopback), None
    )
    match = ""
    if source is not None and facts.daemon.alive:
        try:
            patience = errands.patience()
            lines = request("match", timeout=patience, src=str(source), dst=str(address), protocol=0, port=0)
            match = "; ".join(text for _, text in lines)
        except HostError:
            pass
    return replace(facts, config=replace(facts.config, conns=tuple(conns)), match=match)


def _secrets(facts: Facts, kernel: Kernel) -> tuple[SecretStore, Facts]:
    path = places.secrets_file()
    mode = kernel.mode(path)
    store, complaints = load_secrets(path) if mode is not None else (SecretStore(), [])
    missing = {}
    if mode is not None and not mode[0] & 0o077:
        for conn in facts.config.conns:
            if what := _missing(facts, conn, store):
                missing[conn.name] = what
    found = Secrets(str(path), mode[0] if mode else None, tuple(map(str, complaints)), _changed(path), missing)
    return store, replace(facts, secrets=found)


def _missing(facts: Facts, conn: Connection, store: SecretStore) -> str:
    """What a conn wants of ipsec.secrets and does not find; empty when all is there, or nothing is wanted."""
    ends = facts.ours(conn)
    if ends is None or conn.auth & Auth.NEVER:
        return ""
    mine, his = ends
    auth = mine.auth or conn.auth
    me, him = identity_of(mine, mine.host.address), identity_of(his, his.host.address)
    if auth & Auth.PSK and store.choose_psk(me, him, mine.host.address, his.host.address) is not None:
        return ""
    if auth & SIGNATURES and _private(mine, store):
        return ""
    if auth & Auth.PSK:
        return f'{me or "%any"} {him or "%any"} : PSK "..."'
    if auth & SIGNATURES:
        name = mine.cert_name or "FILE"
        return f": RSA {name} (the private key of {mine.cert_name or 'our end'})"
    return ""


def _private(end: End, store: SecretStore) -> bool:
    keys = [end.cert] if end.cert else list(end.rsa_keys)
    if not keys:
        return bool(store.private_keys)
    return any(store.private_key(None, key) is not None for key in keys)


def _certificates(facts: Facts, store: SecretStore) -> Iterator[Certificate]:
    issuers = {one.subject for one in _authorities()}
    for conn in facts.config.conns:
        for side, end in (("left", conn.left), ("right", conn.right)):
            if end.cert:
                try:
                    yield _certificate(end.cert, conn.name, side, end.cert_name, store, issuers, len(end.cert_chain))
                except CryptoError:
                    continue


def _certificate(
    data: bytes, conn: str, side: str, name: str, store: SecretStore, issuers: set[str], above: int
) -> Certificate:
    cert = x509.load(data)
    subject, issuer = x509.show_name(cert.subject), x509.show_name(cert.issuer)
    return Certificate(
        conn,
        side,
        name,
        subject,
        cert.not_valid_before_utc,
        cert.not_valid_after_utc,
        key=store.private_key(None, data) is not None,
        issued=not issuers or issuer in issuers or issuer == subject or bool(above),
    )


def _authorities() -> Iterator[Certificate]:
    folder = places.ipsec_d() / "cacerts"
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())[:200]
    except OSError:
        return
    for path in files:
        try:
            for cert in x509.load_all(path.read_bytes()[: 1 << 20], path.name):
                yield Certificate(
                    "", "", path.name, x509.show_name(cert.subject), cert.not_valid_before_utc, cert.not_valid_after_utc
                )
        except (OSError, CryptoError):
            continue
