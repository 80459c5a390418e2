# SPDX-License-Identifier: GPL-2.0-or-later
"""What a look-up in the DNS came to, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class DnsStatus(Enum):
    """How a look-up ended."""

    FOUND = "found"
    ABSENT = "absent"  # the name, or records of that type, do not exist
    FAILED = "failed"  # nobody answered, or only with errors
    BOGUS = "bogus"  # the answer is signed and the signatures are wrong: whoever gave it is not to be believed


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """One question's answer."""

    name: str
    """As asked, without its final dot."""
    kind: str
    """Type of the records: IPSECKEY, TXT ..."""
    status: DnsStatus
    records: tuple[bytes, ...] = ()
    """Their data, uncompressed; of FOUND alone."""
    secure: bool = False
    """Validated (DNSSEC): the records, or that there are none."""
    ttl: float = 0.0
    """Seconds it may be believed."""
    trail: tuple[str, ...] = ()
    """Names that CNAME and DNAME led over, the last one has the records."""
    reason: str = ""
    """Why there are no records."""
    faults: tuple[str, ...] = ()
    """A line for each record that could not be read."""
    nothing: bool = False
    """Of ABSENT: the name itself does not exist, and so none below it does (RFC 8020)."""
