# SPDX-License-Identifier: GPL-2.0-or-later
"""Effects: keys do not show, and every handshake tells its story in the promised order."""

from __future__ import annotations

from openswan.ike.effects import ChildEstablished, ChildGone, Forget, Gone, IkeEstablished, IkeGone, Log, Send
from openswan.ike.events import DeleteIke
from tests.unit.ike.pair import Pair


def test_keys_do_not_show() -> None:
    pair = Pair().up()
    child = pair.a.seen(ChildEstablished)[0]
    text = repr(child)
    assert repr(child.enc_in) not in text and repr(child.enc_out) not in text
    assert "enc_in" not in text and "auth_out" not in text


def test_responder_installs_before_it_answers() -> None:
    pair = Pair().up()
    kinds = [type(e) for e in pair.b.effects if not isinstance(e, Log)]
    assert kinds == [Send, IkeEstablished, ChildEstablished, Send]


def test_the_last_word_is_forget() -> None:
    pair = Pair().up()
    pair.a.request(DeleteIke())
    pair.pass_time(60)
    for side in (pair.a, pair.b):
        assert isinstance(side.effects[-1], Forget)
        kinds = [type(e) for e in side.effects if isinstance(e, ChildGone | IkeGone | Forget)]
        assert kinds == [ChildGone, IkeGone, Forget]
    assert pair.a.seen(IkeGone)[0].reason is Gone.LOCAL
    assert pair.b.seen(IkeGone)[0].reason is Gone.PEER
