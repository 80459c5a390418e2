# SPDX-License-Identifier: GPL-2.0-or-later
"""Log prefixes and reply codes are the classic ones."""

from openswan.base.log import QUIET, Rc, prefix


def test_prefix_names_connection_and_state():
    assert prefix("net-net", 12) == '"net-net" #12: '
    assert prefix("net-net") == '"net-net": '
    assert prefix() == ""


def test_log_and_comment_do_not_change_the_exit_status():
    assert set(QUIET) == {0, 2}
    assert Rc.SUCCESS == 4
