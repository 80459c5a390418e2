# SPDX-License-Identifier: GPL-2.0-or-later
"""xauthby=pam: the service pluto of /etc/pam.d judges the users of a gateway, two of ours.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

from tests.netns.conns import SECRETS, USER_CLIENT, USER_SERVER, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, run
from tests.netns.traffic import assert_ping


def test_pam_judges_in_a_process_of_its_own(lab: Lab) -> None:
    pam = lab.dir / "pam.d"
    pam.mkdir()
    judge = lab.dir / "judge"
    judge.write_text('#!/bin/sh\nread -r word\n[ "$PAM_USER $PAM_RHOST $word" = "carla 192.0.2.1 open sesame" ]\n')
    judge.chmod(0o755)
    service = f"auth required pam_exec.so expose_authtok quiet {judge}\naccount required pam_permit.so\n"
    (pam / "pluto").write_text(service)
    east = Gateway(lab.east, conn("users", USER_SERVER, xauthby="pam"), SECRETS)
    # The daemon of east alone has this directory for /etc/pam.d.
    bind = f'mount --bind {pam} /etc/pam.d && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", bind, "sh", *east.command("setup", "start")]
    run("ip", "netns", "exec", lab.east.ns, *command, env=east.env)
    west = Gateway(lab.west, conn("home", USER_CLIENT, keyingtries="1"), f'{SECRETS}\n@carla : XAUTH "open sesame"')
    west.start()
    west.up("home")
    assert_ping(lab.west, "10.2.0.2")
    assert "XAUTH: User carla: Authentication Successful" in east.log()
    west.ipsec("auto", "--down", "home")
    west.configure(secrets=f'{SECRETS}\n@carla : XAUTH "open barley"')
    west.ipsec("auto", "--rereadsecrets")
    assert west.ipsec("auto", "--up", "home", check=False, timeout=60).returncode
    assert "XAUTH: User carla: Authentication Failed: PAM: " in east.log()
