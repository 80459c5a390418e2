# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec showroute`."""

from __future__ import annotations

import pytest

from openswan.cli.showroute import main


def test_the_way_to_this_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["127.0.0.1"]) == 0
    assert main(["--source", "127.0.0.9"]) == 0
    assert capsys.readouterr().out.splitlines() == ["127.0.0.1 127.0.0.1 127.0.0.1", "127.0.0.1"]


def test_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ipv6", "127.0.0.1"]) == 1
    assert "127.0.0.1 is no IPv6 address" in capsys.readouterr().err
    assert main(["--ipv4", "--ipv6", "127.0.0.1"]) == 2
    assert main([]) == 2
    assert "DESTINATION is missing" in capsys.readouterr().err
