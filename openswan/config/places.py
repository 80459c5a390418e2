# SPDX-License-Identifier: GPL-2.0-or-later
"""Where secrets and certificates lie: where config setup says (secretsfile=, ipsecdir=), else beside ipsec.conf."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.config.files import disk_reader, read_text
from openswan.config.parser import Param, parse_setup


def secrets_in(setup: Mapping[str, Param]) -> Path:
    """The secrets file of a config setup."""
    return _given(setup, "secretsfile", paths.secrets_file())


def ipsec_d_in(setup: Mapping[str, Param]) -> Path:
    """The directory of certs, private, cacerts, crls and policies of a config setup."""
    return _given(setup, "ipsecdir", paths.ipsec_d())


def secrets_file() -> Path:
    """The secrets file of the ipsec.conf there is."""
    return secrets_in(setup_of(paths.conf_file()))


def ipsec_d() -> Path:
    """The directory of certs, private, cacerts, crls and policies of the ipsec.conf there is."""
    return ipsec_d_in(setup_of(paths.conf_file()))


def setup_of(conf: Path) -> Mapping[str, Param]:
    """The config setup of a file alone, as written; none when it cannot be read. Conns are not looked at."""
    try:
        changed = os.stat(conf).st_mtime_ns
    except OSError:
        return {}
    return _read(str(conf), changed)


@lru_cache(maxsize=1)
def _read(conf: str, changed: int) -> Mapping[str, Param]:
    try:
        return parse_setup(read_text(conf), conf, disk_reader(""))
    except ConfigError:
        return {}


def _given(setup: Mapping[str, Param], name: str, default: Path) -> Path:
    """Relative ones start at the configuration directory."""
    return paths.confs() / setup[name].value if name in setup else default
