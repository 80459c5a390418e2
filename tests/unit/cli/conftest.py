# SPDX-License-Identifier: GPL-2.0-or-later
"""A pluto of cardboard behind a real control socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class FakePluto:
    """Answers each verb with the lines in `answers`, and remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, list[str]] = {}
        self.asked: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                line = lines.readline()
                if not line:
                    continue
                request = json.loads(line)
                self.asked.append(request)
                client.sendall("".join(f"{text}\n" for text in self.answers.get(request["verb"], [])).encode())

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(2)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """IPSEC_CONFS and IPSEC_RUNDIR point into an empty directory."""
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    monkeypatch.setenv("IPSEC_RUNDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def pluto(places: Path) -> Iterator[FakePluto]:
    """A fake daemon on the control socket of `places`."""
    fake = FakePluto(places / "pluto.ctl")
    yield fake
    fake.close()
