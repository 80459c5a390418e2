# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE identities: kinds, text forms, wildcard matching (RFC 7296 3.5)."""

from __future__ import annotations

from dataclasses import dataclass

from openswan.base.numbers import OpenIntEnum


class IdKind(OpenIntEnum):
    """ID Type values (RFC 7296 3.5)."""

    IPV4_ADDR = 1
    FQDN = 2
    USER_FQDN = 3
    IPV6_ADDR = 5
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    NULL = 13


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity: its kind and its body exactly as an ID payload carries it (address octets, UTF-8 name, DER)."""

    kind: IdKind
    body: bytes
