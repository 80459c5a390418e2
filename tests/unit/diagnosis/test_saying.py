# SPDX-License-Identifier: GPL-2.0-or-later
"""The shape of a line that names a cause."""

from openswan.diagnosis.finding import Kind
from openswan.diagnosis.saying import saying


def test_its_pattern_finds_the_words_that_the_cause_names() -> None:
    one = saying("no (?P<what>[a-z]+) here", "nothing", Kind.PEER, 50, "there is no {what}", "bring {what}")
    found = one.pattern.search("there was no soup here")
    assert found is not None and one.remedy.format(**found.groupdict()) == "bring soup"
