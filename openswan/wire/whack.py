# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket's language: one JSON request line in, `NNN text` reply lines out.

Request: one line of JSON, `{"verb": VERB, ...arguments}`, at most MAX_REQUEST octets. Reply: lines of a three-digit
code, a blank and text (openswan.base.log.Rc), until the daemon closes the connection. With `"json": true` the reply is
one line of code 000 whose text is a JSON document.

Verbs pluto answers: add (connection: see openswan.config.write.connection_to_plain; replace; renew: only if it says
something else than before; check: only say why renew would refuse it), retain (names: take out the others that are not
in use, answer with those that are), prune (name, names, fresh: of the parts of a conn those that are not among them),
pairs (JSON: what each protects), delete, route, unroute, initiate, terminate (name, asynchronous; initiate also
xauthname, xauthpass, and prompt: a question in place of an attempt that would lack them), listen, unlisten, status
(json), debug (name; words: exactly these classes, or add and remove), addresspoolstatus, rereadsecrets, rereadcerts,
rereadgroups, rereadall, listall, shutdown (keep_guard).
Verbs the daemon answers from the packet engine: eroute, spi, spigrp, tncfg, counters (json), events (json), match
(src, dst, protocol, port), klipsdebug (json), setup (json: config setup as it was at the start), and klips (do and
the arguments of openswan.plane.orders): change them by hand.
"""

from __future__ import annotations

import json
from typing import Any

from openswan.base.errors import WireError

LISTS = (
    "listpubkeys",
    "checkpubkeys",
    "listpsks",
    "listcerts",
    "listcacerts",
    "listaacerts",
    "listocspcerts",
    "listacerts",
    "listgroups",
    "listcrls",
    "listocsp",
    "listall",
)
"""Verbs that list keys, certificates and what is known of their revocation."""

MAX_REQUEST = 1 << 20


def encode_request(verb: str, **arguments: Any) -> bytes:
    """One request line; WireError when it would be longer than the daemon accepts."""
    line = json.dumps({"verb": verb, **arguments}, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_REQUEST:
        raise WireError(f"whack request of {len(line)} octets is longer than {MAX_REQUEST}", None)
    return line


def decode_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Verb and arguments of a request line; WireError when it is not one."""
    if len(line) > MAX_REQUEST:
        raise WireError(f"whack request longer than {MAX_REQUEST} octets", None)
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise WireError("whack request is not JSON", None) from None
    if not isinstance(request, dict) or not isinstance(request.get("verb"), str):
        raise WireError("whack request has no verb", None)
    return request.pop("verb"), request


def encode_reply(code: int, text: str) -> bytes:
    """One reply line; line breaks inside `text` become blanks."""
    return f"{code:03d} {' '.join(text.splitlines()) if text else ''}\n".encode()


def decode_reply(line: str) -> tuple[int, str]:
    """Code and text of a reply line; WireError when it has no code."""
    if len(line) < 3 or not line[:3].isdigit():
        raise WireError(f"reply without a code: {line[:60]!r}", None)
    return int(line[:3]), line[4:].rstrip("\n")
