# SPDX-License-Identifier: GPL-2.0-or-later
"""Where metrics go: over HTTP by the library's own server, or into a file that is never half written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from openswan.base.errors import HostError


def serve(address: str, port: int, registry: CollectorRegistry) -> None:
    """Serve until the process ends; HostError when the address or port cannot be used."""
    try:
        _, thread = start_http_server(port, address, registry)
    except OSError as why:
        raise HostError(f"cannot listen on {address} port {port}: {why.strerror or why}") from None
    thread.join()


def write(path: Path, data: bytes) -> None:
    """The whole file at once, readable by all; HostError when it cannot be made."""
    name = ""
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)
    except OSError as why:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
        raise HostError(f"cannot write {path}: {why.strerror}") from None
