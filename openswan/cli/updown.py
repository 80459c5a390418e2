# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _updown`: the default updown command, by itself or shown as a script.

pluto carries the default command out within its own process; this one is for scripts that call it after doing something
of their own, and for people who want to see what is done.
"""

from __future__ import annotations

import os
import sys

from openswan.base import paths
from openswan.base.errors import ConfigError, IpsecError
from openswan.cli.ourmarks import configured
from openswan.cli.updown_guard import guard_elements, guard_rules
from openswan.cli.updown_script import script
from openswan.host.guard.text import element_text
from openswan.host.openings.openings import Openings
from openswan.host.resolvedit import ResolvEdit
from openswan.host.routes import Routes
from openswan.host.updown import Refused, World, carry_out, check_parameters, read_call, run_script

USAGE = """\
Usage: ipsec _updown [custom | PARAMETERS]   run the verb PLUTO_VERB says, as pluto does
       ipsec _updown --print                 show it as a shell script
       ipsec _updown --elements [iptables]   the guard's set elements for the PLUTO_* environment, or rules of iptables
"""


def main(argv: list[str]) -> int:
    """Exit status as the classic script's: 0 done, 1 failed or unknown verb, 2 unknown parameters."""
    if argv == ["--help"]:
        print(USAGE, end="")
        return 0
    if argv == ["--print"]:
        print(script(configured()), end="")
        return 0
    try:
        if argv == ["--elements"]:
            for name, text in map(element_text, guard_elements(read_call(os.environ).flow)):
                print(name, text)
            return 0
        if argv == ["--elements", "iptables"]:
            print("\n".join(guard_rules(read_call(os.environ).flow)))
            return 0
        check_parameters(tuple(argv))
        if read_call(os.environ).verb in ("guard", "unguard"):
            return run_script(script(configured()))
        routes = Routes(lambda line, serious: print(line), configured())
        try:
            openings = Openings(paths.rundir())
            status, output = carry_out(os.environ, World(routes, openings=openings, resolv=ResolvEdit(paths.rundir())))
        finally:
            routes.close()
    except Refused as why:
        status, output = why.status, (str(why),)
    except (ConfigError, IpsecError) as why:
        status, output = 1, (str(why),)
    for line in output:
        print(f"ipsec _updown: {line}", file=sys.stderr)
    return status
