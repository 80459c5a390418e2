# SPDX-License-Identifier: GPL-2.0-or-later
"""Where configuration and run-time files lie, and that both can be moved."""

from pathlib import Path

import pytest

from openswan.base import paths


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IPSEC_CONFS", raising=False)
    monkeypatch.setenv("IPSEC_RUNDIR", "")
    assert paths.conf_file() == Path("/etc/ipsec.conf")
    assert paths.secrets_file() == Path("/etc/ipsec.secrets")
    assert paths.ipsec_d() == Path("/etc/ipsec.d")
    assert paths.policies() == Path("/etc/ipsec.d/policies")
    assert paths.control_socket() == Path("/run/pluto/pluto.ctl")
    assert paths.pid_file() == Path("/run/pluto/pluto.pid")


def test_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", "/tmp/east")
    monkeypatch.setenv("IPSEC_RUNDIR", "/tmp/run")
    assert paths.conf_file() == Path("/tmp/east/ipsec.conf")
    assert paths.ipsec_d() == Path("/tmp/east/ipsec.d")
    assert paths.rundir() == Path("/tmp/run")
    assert paths.pid_file() == Path("/tmp/run/pluto.pid")
