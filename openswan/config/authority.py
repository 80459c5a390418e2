# SPDX-License-Identifier: GPL-2.0-or-later
"""ca sections: an authority that is trusted, and where its revocation lists, OCSP responder and certificates are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from openswan.base.errors import ConfigError
from openswan.config.complaint import Complaint, error, warning
from openswan.config.keyword import Status
from openswan.config.parser import Block, Param

CertificateReader = Callable[[str], tuple[bytes, ...]]
"""Name of a file to the certificates in it, DER; ConfigError names the file."""
DEFAULT = "%default"
CRLS, RESPONDERS, CERTIFICATES = ("crluri", "crluri2"), ("ocspuri", "ocspuri2"), ("certuribase",)


@dataclass(frozen=True, slots=True)
class Authority:
    """One ca section that is to be used."""

    name: str
    certificate: bytes
    """DER."""
    crl_uris: tuple[str, ...] = ()
    ocsp_uris: tuple[str, ...] = ()
    certificate_base: str = ""
    """Before the hash of a certificate it makes the URL of it; empty: there is none."""


def build_authorities(
    blocks: Iterable[Block], read: CertificateReader, complaints: list[Complaint]
) -> tuple[Authority, ...]:
    """The authorities that ca sections describe; a broken one stops no other. `read` looks in ipsec.d/cacerts."""
    blocks = list(blocks)
    defaults = [block for block in blocks if block.name.lower() == DEFAULT]
    found: dict[str, Authority] = {}
    for block in blocks:
        if block in defaults:
            complaints += [_named(one, block) for one in block.complaints]
            continue
        made, about = _authority(block, defaults, read)
        if made is not None and found.setdefault(made.name, made) is not made:
            about.append(error("defined twice; the first one counts", block.where))
        complaints += [_named(one, block) for one in about]
    return tuple(found.values())


def _named(one: Complaint, block: Block) -> Complaint:
    return Complaint(f'ca "{block.name}": {one.text}', one.where, one.severity)


def _authority(
    block: Block, defaults: list[Block], read: CertificateReader
) -> tuple[Authority | None, list[Complaint]]:
    about = list(block.complaints)
    params = {key[1]: param for default in defaults for key, param in default.params.items()}
    params |= {key[1]: param for key, param in block.params.items()}
    for param in params.values():
        try:
            param.row.canonical(param.value)
        except ConfigError as why:
            about.append(error(why.reason, param.where))
        if param.row.status is Status.HARMLESS:
            about.append(
                warning(f"{param.row.name}={param.value[:40]} is not acted on: {param.row.reason}", param.where)
            )
    wanted = params["auto"].value.lower() in ("add", "start", "route") if "auto" in params else False
    certificate = params.get("cacert")
    if wanted and certificate is None:
        about.append(error("cacert= is missing", block.where))
    der = b""
    if certificate is not None and wanted:
        try:
            der = read(certificate.value)[0]
        except ConfigError as why:
            about.append(error(f"cacert=: {why.reason}", certificate.where))
    crls, responders = tuple(_uris(params, CRLS, about)), tuple(_uris(params, RESPONDERS, about))
    bases = tuple(_uris(params, CERTIFICATES, about))
    if not wanted or any(one.fatal for one in about):
        return None, about
    return Authority(block.name, der, crls, responders, bases[0] if bases else ""), about


def _uris(params: dict[str, Param], names: tuple[str, ...], about: list[Complaint]) -> Iterator[str]:
    for name in names:
        param = params.get(name)
        if param is None:
            continue
        if param.value.lower().startswith("http://") and param.value.isascii() and param.value.isprintable():
            yield param.value
        else:
            about.append(error(f"{name}={param.value[:60]}: only http://... is fetched", param.where))
