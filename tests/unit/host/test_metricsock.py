# SPDX-License-Identifier: GPL-2.0-or-later
"""Metrics into files and over HTTP."""

import socket
import time
import urllib.request
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry, Gauge

from openswan.base.errors import HostError
from openswan.host.metricsock import serve, write


def test_a_file_is_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    write(path, b"one\n")
    write(path, b"two\n")
    assert path.read_bytes() == b"two\n" and [each.name for each in tmp_path.iterdir()] == ["x.prom"]
    with pytest.raises(HostError, match="cannot write"):
        write(tmp_path / "none/x.prom", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HostError, match="cannot write"):
        write(tmp_path / "folder", b"x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "x.prom"]


def test_over_http() -> None:
    registry = CollectorRegistry()
    Gauge("answer", "of all", registry=registry).set(42)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Thread(target=serve, args=("127.0.0.1", port, registry), daemon=True).start()
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                assert b"answer 42.0" in answer.read()
            break
        except OSError as why:
            if not isinstance(getattr(why, "reason", why), ConnectionError):
                raise
            time.sleep(0.05)  # it does not listen yet
    else:
        pytest.fail("nobody listens")
    with pytest.raises(HostError, match="cannot listen on"):
        serve("127.0.0.1", port, registry)
