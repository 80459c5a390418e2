# SPDX-License-Identifier: GPL-2.0-or-later
"""The trial tells what the kernel says, and makes no hook where it is asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from openswan.host.guard import trial
from openswan.host.nfnetlink import NFPROTO_NETDEV, Nftables
from openswan.host.nftables import hooks

Namespace = Callable[[Callable[[], Any]], Any]


def test_a_kernel_can_be_asked_and_nothing_is_left(namespace: Namespace) -> None:
    def work() -> None:
        assert trial.supported() == ""
        nft = Nftables(trial.TABLE, family=NFPROTO_NETDEV)
        assert nft.table_flags() is None and hooks(nft) == {}
        nft.close()

    namespace(work)


@pytest.mark.parametrize(
    ("output", "errors", "status", "why"),
    [
        ("Operation not supported\n", "", 0, "Operation not supported"),
        ("", "a\nb\n", 1, "b"),
        ("", "", -9, "status -9"),
    ],
)
def test_what_the_child_says_is_why_not(
    monkeypatch: pytest.MonkeyPatch, output: str, errors: str, status: int, why: str
) -> None:
    done = subprocess.CompletedProcess((), status, output, errors)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert trial.supported() == why


def test_a_child_that_hangs_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(words: tuple[str, ...], **_: object) -> None:
        raise subprocess.TimeoutExpired(words, trial.PATIENCE)

    monkeypatch.setattr(subprocess, "run", hang)
    assert "timed out" in trial.supported()
