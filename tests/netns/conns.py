# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts of ipsec.conf for the lab; one text serves both gateways, which find their own side by their addresses."""

from __future__ import annotations

from tests.netns.gateway import PSK

SECRETS = f": PSK {PSK}"

NET4 = {
    "left": "192.0.2.1",
    "leftsubnet": "10.1.0.0/24",
    "right": "192.0.2.2",
    "rightsubnet": "10.2.0.0/24",
    "authby": "secret",
}
NET6 = {
    "left": "2001:db8::1",
    "leftsubnet": "2001:db8:1::/64",
    "right": "2001:db8::2",
    "rightsubnet": "2001:db8:2::/64",
    "authby": "secret",
}
USER_SERVER = {
    "left": "192.0.2.2",
    "leftsubnet": "10.2.0.0/24",
    "leftxauthserver": "yes",
    "right": "%any",
    "rightaddresspool": "10.9.0.1-10.9.0.9",
    "authby": "secret",
    "modecfgpull": "yes",
    "auto": "add",
}
"""Users by XAUTH call it; xauthby= says who judges them."""
USER_CLIENT = {
    "left": "192.0.2.1",
    "leftxauthclient": "yes",
    "leftxauthname": "carla",
    "leftsourceip": "%config",
    "right": "192.0.2.2",
    "rightsubnet": "10.2.0.0/24",
    "authby": "secret",
    "modecfgpull": "yes",
    "auto": "add",
}
"""One of them."""
INNER = ("10.1.0.0/24", "10.2.0.0/24", "2001:db8:1::/64", "2001:db8:2::/64")
"""Networks whose packets may not show on the wire."""


def conn(name: str, base: dict[str, str] | None = None, **more: str) -> str:
    """A conn section; later values win over those of `base`, an empty one removes a keyword."""
    values = {**(base or {}), **more}
    return f"conn {name}\n" + "".join(f"    {k}={v}\n" for k, v in values.items() if v)


def setup(**values: str) -> str:
    """The head of a file: version and config setup."""
    return "version 2.0\nconfig setup\n" + "".join(f"    {k}={v}\n" for k, v in values.items()) + "\n"
