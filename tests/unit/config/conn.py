# SPDX-License-Identifier: GPL-2.0-or-later
"""One conn read from a few of its lines, for the tests of what is made of it."""

from openswan.base.errors import ConfigError
from openswan.config.load import Loaded, load_text
from openswan.policy.connection import Connection

KEY = "0x03010001" + "c1" + "00" * 126 + "01"


def certs(name: str) -> tuple[bytes, ...]:
    """leftcert=gw.pem, and no other."""
    if name == "gw.pem":
        return (b"DER", b"ABOVE")
    raise ConfigError(f"cannot read certificate '/c/{name}': No such file or directory")


def load(body: str, setup: str = "") -> Loaded:
    """A conn x between two addresses with a preshared key, and what `body` adds, a line each (';' separates)."""
    base = "\tleft=192.0.2.1\n\tright=198.51.100.7\n\tauthby=secret\n"
    given = {line.split("=")[0].strip() for line in body.split(";")}
    base = "".join(line + "\n" for line in base.splitlines() if line.split("=")[0].strip() not in given)
    text = f"config setup\n{setup}conn x\n{base}" + "".join(f"\t{line.strip()}\n" for line in body.split(";") if line)
    return load_text(text, "f", lambda pattern, directory: [], certs)


def one(body: str, setup: str = "") -> Connection:
    """The connection that comes of it without a word."""
    loaded = load(body, setup)
    assert [str(line) for line in loaded.complaints] == []
    [connection] = loaded.connections
    return connection


def errors(body: str, setup: str = "") -> list[str]:
    """What is wrong with a conn that does not load."""
    loaded = load(body, setup)
    assert loaded.connections == () and loaded.failed
    return [str(line) for line in loaded.complaints if line.fatal]


def warned(body: str) -> list[str]:
    """What is said of a conn that loads."""
    loaded = load(body)
    assert not loaded.failed and loaded.connections
    return [str(line) for line in loaded.complaints]
