# SPDX-License-Identifier: GPL-2.0-or-later
"""MD4 against RFC 1320 A.5, and who may use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from openswan.crypto.md4 import md4

SUITE = {
    "": "31d6cfe0d16ae931b73c59d7e0c089c0",
    "a": "bde52cb31de33e46245e05fbdbd6fb24",
    "abc": "a448017aaf21d8525fc10ae87aa6729d",
    "message digest": "d9130a8164549fe818874806e1c7014b",
    "abcdefghijklmnopqrstuvwxyz": "d79e1c308aa5bbcdeea8ed63df412da9",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": "043f8582f241db351ce627e153e7f0e4",
    "1234567890" * 8: "e33b4ddc9c38f2199c3e7b164fcc0536",
}


@pytest.mark.parametrize("message", SUITE)
def test_the_suite_of_the_rfc(message: str) -> None:
    assert md4(message.encode()).hex() == SUITE[message]


def test_lengths_around_the_block() -> None:
    assert len({md4(bytes(n)) for n in range(130)}) == 130


def test_one_user_alone() -> None:
    """What is broken must not spread: MD4 is reached by MS-CHAP-V2, and that by its EAP method."""
    root = Path(__file__).parents[3] / "openswan"

    def users(module: str) -> set[str]:
        return {path.name for path in root.rglob("*.py") if f"{module} import" in path.read_text()} | {
            path.name for path in root.rglob("*.py") if f"import {module.rpartition('.')[2]}\n" in path.read_text()
        }

    assert users("openswan.crypto.md4") == {"mschap.py"}
    assert users("openswan.crypto.mschap") == {"mschapv2.py"}
