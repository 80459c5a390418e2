# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.modp promises."""

from __future__ import annotations

import re

import pytest

from openswan.crypto import modp
from tests.shareddata import DATA


def test_pi() -> None:
    assert modp.scaled_pi(64) == 0x3243F6A8885A308D3


@pytest.mark.parametrize("bits", modp.OFFSETS)
def test_the_primes_are_those_printed_in_the_rfc(bits: int) -> None:
    number, title = (2409, "Second Oakley Group") if bits == 1024 else (3526, f"{bits}-bit MODP Group")
    text = (DATA / "rfc" / f"rfc{number}.txt").read_text(errors="replace")
    text = re.sub(rf"\n+\S.*\[Page \d+\]\n\f\nRFC {number}.*\n", "\n", text)
    section = text[text.rindex(title) :]
    digits = re.search(r"FFFFFFFF FFFFFFFF[0-9A-F\s]+", section)
    assert digits is not None
    assert modp.prime(bits) == int(re.sub(r"\s", "", digits[0]), 16)


def test_other_sizes() -> None:
    with pytest.raises(KeyError):
        modp.prime(768)
