# SPDX-License-Identifier: GPL-2.0-or-later
"""What all methods promise."""

from __future__ import annotations

from openswan.base.errors import IpsecError
from openswan.ike.eap import mschapv2, tls
from openswan.ike.eap.method import MOST_ROUNDS, EapError, PeerMethod, ServerMethod


def test_nothing_is_proved_to_begin_with() -> None:
    assert issubclass(EapError, IpsecError) and MOST_ROUNDS <= 100
    for method in (mschapv2.MschapServer, tls.TlsServer):
        assert issubclass(method, ServerMethod) and not method.done and not method.msk and not method.user
    for peer in (mschapv2.MschapPeer, tls.TlsPeer):
        assert issubclass(peer, PeerMethod) and not peer.done and not peer.msk
