# SPDX-License-Identifier: GPL-2.0-or-later
"""Log prefixes and reply codes are the classic ones."""

import pytest

from openswan.base.errors import ConfigError
from openswan.base.log import QUIET, Rc, parse_priority, prefix


def test_prefix_names_connection_and_state():
    assert prefix("net-net", 12) == '"net-net" #12: '
    assert prefix("net-net") == '"net-net": '
    assert prefix() == ""


def test_log_and_comment_do_not_change_the_exit_status():
    assert set(QUIET) == {0, 2}
    assert Rc.SUCCESS == 4


def test_facilities_and_priorities_of_syslog():
    assert parse_priority("daemon.error") == (3, 3)
    assert parse_priority("AUTHPRIV.warn") == (10, 4)
    assert parse_priority("local7.debug") == (23, 7)
    for text in ("", "daemon", "daemon.", "cons.err", "local8.info", "daemon.cons"):
        with pytest.raises(ConfigError, match="is no facility and priority"):
            parse_priority(text)
