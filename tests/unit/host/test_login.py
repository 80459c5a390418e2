# SPDX-License-Identifier: GPL-2.0-or-later
"""XAUTH users of ipsec.d/passwd."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.engine.effects import Login
from openswan.host.login import Logins, crypt, hashes
from openswan.policy.connection import XauthBy


def check(path: Path, user: str, password: bytes, conn: str = "c") -> str:
    async def run() -> str:
        them = Logins(path)
        try:
            await them.check(Login(1, conn, user, password, ip_address("192.0.2.7"), XauthBy.FILE))
        except HostError as why:
            return str(why)
        finally:
            them.close()
        return ""

    return asyncio.run(run())


def test_hashes_as_the_system_makes_them() -> None:
    made = crypt(b"sesame", b"$6$abcdefgh$")
    assert made is not None and made.startswith(b"$6$abcdefgh$") and crypt(b"sesame", made) == made
    assert crypt(b"other", made) != made
    assert crypt(b"x", b"*") is None


def test_users(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    made = (crypt(b"sesame", b"$6$abcdefgh$") or b"").decode()
    md5 = (crypt(b"other", b"$1$abcdefgh$") or b"").decode()
    path.write_text(f"# users\n\ncarla:{made}\nroad:{md5}:roadwarriors\nempty:\nbad:plain\n")
    assert check(path, "carla", b"sesame") == ""
    assert check(path, "road", b"other", "roadwarriors") == ""
    for user, password, conn in (
        ("carla", b"other", "c"), ("carla", b"", "c"), ("road", b"other", "c"), ("nobody", b"sesame", "c"),
        ("empty", b"", "c"), ("bad", b"plain", "c"), ("# users", b"", "c"), ("", b"", "c"),
    ):  # fmt: skip
        assert check(path, user, password, conn) == "Incorrect Username or Password", user


def test_no_file(tmp_path: Path) -> None:
    assert check(tmp_path / "passwd", "carla", b"x").endswith("passwd: No such file or directory")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("u:h", [b"h"]),
        ("u:h:", [b"h"]),
        ("u:h:conn", [b"h"]),
        ("u:h:conn:10.0.0.1", [b"h"]),
        ("u:h:other", []),
        ("v:h", []),
        ("u", []),
        ("u:", []),
        (" u:h ", [b"h"]),
    ],
)
def test_lines(line: str, found: list[bytes]) -> None:
    assert list(hashes(line, "conn", "u")) == found
