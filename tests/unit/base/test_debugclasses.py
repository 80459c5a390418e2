# SPDX-License-Identifier: GPL-2.0-or-later
"""Classes of debugging lines."""

import pytest

from openswan.base.debugclasses import CLASSES, WORDS, classes_of, classes_text
from openswan.base.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "none"),
        ("dpd control", "control+dpd"),
        ("netkey kernel xfrm", "klips"),
        ("nat-t nattraversal", "natt"),
        ("raw none dns", "dns"),
        ("private cpu-usage", "none"),
        ("all", "+".join(CLASSES)),
        ("tmi", "+".join(CLASSES)),
    ],
)
def test_words(words: str, text: str) -> None:
    assert classes_text(classes_of(words.split())) == text


def test_every_word_is_taken_and_no_other() -> None:
    for word in WORDS:
        assert classes_of([word]) <= set(CLASSES)
    with pytest.raises(ConfigError, match="'pasing' is no class of debugging"):
        classes_of(["pasing"])
