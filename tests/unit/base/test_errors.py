# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors carry where, why and what to tell the peer."""

from openswan.base.errors import ConfigError, CryptoError, HostError, IkeError, IpsecError, KlipsError, WireError


def test_config_error_names_the_place_first():
    assert str(ConfigError("unknown keyword 'lefft'", "ipsec.conf:12")) == "ipsec.conf:12: unknown keyword 'lefft'"


def test_config_error_without_a_file_is_just_the_reason():
    assert str(ConfigError("no such thing")) == "no such thing"


def test_wire_error_answers_invalid_syntax_unless_told_otherwise():
    assert WireError("truncated").notify == 7
    assert WireError("silently", None).notify is None


def test_ike_error_carries_the_notification_and_its_data():
    error = IkeError("invalid KE", 17, b"\x00\x13")
    assert (error.notify, error.data) == (17, b"\x00\x13")


def test_all_errors_have_one_root():
    for kind in (ConfigError, CryptoError, HostError, IkeError, KlipsError, WireError):
        assert issubclass(kind, IpsecError)
