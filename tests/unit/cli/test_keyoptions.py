# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the key commands."""

from __future__ import annotations

import re

import pytest

from openswan.cli import keyoptions
from openswan.cli.keyoptions import Parser, Usage


def test_wrong_options_are_named_above_the_usage_with_the_commands_own_status() -> None:
    says = r"^ipsec ranbits: unrecognized arguments: --nonsense\nUsage: ipsec ranbits N$"
    with pytest.raises(Usage, match=says) as caught:
        Parser("ranbits", "ipsec ranbits N", 7).parse_args(["--nonsense"])
    assert caught.value.status == 7


def test_options_are_not_abbreviated() -> None:
    with pytest.raises(Usage):
        Parser("ranbits", "usage", 2).parse_args(["--versio"])


def test_host_name_and_date() -> None:
    assert keyoptions.host_name("gw.example.org") == "gw.example.org"
    assert keyoptions.host_name(None)
    assert re.fullmatch(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", keyoptions.date())
