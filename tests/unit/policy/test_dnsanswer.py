# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers are plain, frozen and without surprises when nothing is said."""

from openswan.policy.dnsanswer import DnsAnswer, DnsStatus


def test_an_answer_says_nothing_that_was_not_said() -> None:
    answer = DnsAnswer("a.example", "TXT", DnsStatus.FAILED)
    assert answer == DnsAnswer("a.example", "TXT", DnsStatus.FAILED, (), False, 0.0, (), "", ())
    assert hash(answer) == hash(DnsAnswer("a.example", "TXT", DnsStatus.FAILED))
    assert [status.value for status in DnsStatus] == ["found", "absent", "failed", "bogus"]
