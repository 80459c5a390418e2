# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things lie: the configuration directory and the run-time directory, each movable by an environment variable.

IPSEC_CONFS moves ipsec.conf, ipsec.secrets and ipsec.d (default /etc); IPSEC_RUNDIR moves sockets, pid file and state
(default /run/pluto). Every command and the daemon ask here, so that gateways can run side by side.
"""

from __future__ import annotations

import os
from pathlib import Path

CONFS_VARIABLE = "IPSEC_CONFS"
RUNDIR_VARIABLE = "IPSEC_RUNDIR"
DEFAULT_CONFS = "/etc"
DEFAULT_RUNDIR = "/run/pluto"


def confs() -> Path:
    """The directory of ipsec.conf, ipsec.secrets and ipsec.d."""
    return Path(os.environ.get(CONFS_VARIABLE) or DEFAULT_CONFS)


def rundir() -> Path:
    """The directory of the control socket, the pid file and the daemon's state."""
    return Path(os.environ.get(RUNDIR_VARIABLE) or DEFAULT_RUNDIR)


def conf_file() -> Path:
    """ipsec.conf."""
    return confs() / "ipsec.conf"


def secrets_file() -> Path:
    """ipsec.secrets."""
    return confs() / "ipsec.secrets"


def ipsec_d() -> Path:
    """The directory of certs, private, cacerts, crls and policies."""
    return confs() / "ipsec.d"


def policies() -> Path:
    """The directory of the policy groups' files."""
    return ipsec_d() / "policies"


def control_socket() -> Path:
    """The socket pluto answers whack on."""
    return rundir() / "pluto.ctl"


def pid_file() -> Path:
    """Holds the running daemon's process id in decimal."""
    return rundir() / "pluto.pid"
