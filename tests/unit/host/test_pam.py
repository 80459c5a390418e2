# SPDX-License-Identifier: GPL-2.0-or-later
"""PAM's word on names and passwords, by the system's own library and a service described for the test."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host import pam
from openswan.host.pam import Judge, authenticate

SERVICE = "gateway-test"


def service(tmp_path: Path, auth: str, account: str = "account required pam_permit.so") -> str:
    """The directory of a service of these lines."""
    (tmp_path / SERVICE).write_text(f"auth {auth}\n{account}\n")
    return str(tmp_path)


def asking(tmp_path: Path) -> str:
    """A service that lets in carla from one address with one password."""
    script = tmp_path / "judge"
    script.write_text('#!/bin/sh\nread -r word\n[ "$PAM_USER $PAM_RHOST $word" = "carla 192.0.2.7 open sesame" ]\n')
    script.chmod(0o700)
    return service(tmp_path, f"required pam_exec.so expose_authtok quiet {script}")


def check(directory: str, user: str = "carla", remote: str = "192.0.2.7", password: bytes = b"open sesame") -> str:
    async def run() -> str:
        try:
            await Judge(SERVICE, directory).check(user, remote, password)
        except HostError as why:
            return str(why)
        return ""

    return asyncio.run(run())


def test_name_address_and_password_reach_the_module(tmp_path: Path) -> None:
    directory = asking(tmp_path)
    assert check(directory) == ""
    for wrong in ({"user": "bert"}, {"remote": "192.0.2.8"}, {"password": b"open barley"}, {"password": b""}):
        assert check(directory, **wrong).startswith("PAM: "), wrong  # type: ignore[arg-type]


def test_both_halves_have_to_agree(tmp_path: Path) -> None:
    assert check(service(tmp_path, "required pam_permit.so")) == ""
    assert check(service(tmp_path, "required pam_deny.so")).startswith("PAM: ")
    assert check(service(tmp_path, "required pam_permit.so", "account required pam_deny.so")).startswith("PAM: ")


def test_a_service_that_is_not_described_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    assert check(str(tmp_path)).startswith("PAM: ")


def test_several_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    directory = asking(tmp_path)

    async def run() -> list[object]:
        judge = Judge(SERVICE, directory)
        words = [b"open sesame" if number % 2 else b"no" for number in range(12)]
        return await asyncio.gather(
            *(judge.check("carla", "192.0.2.7", word) for word in words), return_exceptions=True
        )

    outcomes = asyncio.run(run())
    assert [isinstance(one, HostError) for one in outcomes] == [number % 2 == 0 for number in range(12)]


def test_a_module_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pam, "PATIENCE", 0.5)
    script = tmp_path / "judge"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o700)
    directory = service(tmp_path, f"required pam_exec.so quiet {script}")
    assert check(directory) == "PAM has not answered for 0.5 s"


def test_zero_octets_are_nobodys(tmp_path: Path) -> None:
    assert "zero octet" in check(str(tmp_path), user="a\0b")
    assert "zero octet" in check(str(tmp_path), password=b"\0")


def test_no_library_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(pam.ctypes, "CDLL", missing)
    assert authenticate(b"carla", b"", b"x", SERVICE) == (
        "xauthby=pam: there is no PAM library (libpam.so.0); install it, or say xauthby=file"
    )
