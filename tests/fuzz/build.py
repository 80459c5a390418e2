# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of the fuzz targets, beside the ordinary build and never in its way.

build/fuzz-plain   the targets alone, on the engine as it is installed: replays the corpus in every test run
build/fuzz         engine and targets with ASan, UBSan and coverage, and the driver that libFuzzer runs
build/asan         engine and targets with ASan and UBSan for Python under LD_PRELOAD
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ROOT / "build/fuzz-plain"
GUIDED = ROOT / "build/fuzz"
ASAN = ROOT / "build/asan"
FUZZER = "address,undefined"


class BuildError(Exception):
    """The compiler's own words."""


def _run(*argv: str, **environment: str) -> None:
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"{' '.join(argv)}\n{done.stdout[-4000:]}{done.stderr[-8000:]}")


def _extensions(into: Path, **environment: str) -> None:
    argv = ("setup.py", "-q", "build_ext", "--build-lib", str(into), "--build-temp", f"{into}-objects", "-j", "2")
    into.mkdir(parents=True, exist_ok=True)
    with (into / "lock").open("w") as lock:
        # Tests run side by side: one of them builds, the others find it done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run(sys.executable, *argv, **environment)
        if environment.get("OPENSWAN_FUZZ") != "only":
            # The declarations too: tests compare their numbers with Python's.
            for path in (ROOT / "_fast/__init__.py", *(ROOT / "_fast").glob("*.pxd")):
                shutil.copy(path, into / "_fast" / path.name)


def plain() -> Path:
    """The targets for replaying; BuildError when they do not compile."""
    _extensions(PLAIN, OPENSWAN_FUZZ="only")
    return PLAIN


def asan() -> Path:
    """Engine and targets with sanitizers, by the ordinary compiler; BuildError when they do not compile."""
    _extensions(ASAN, OPENSWAN_SANITIZE=FUZZER, OPENSWAN_FUZZ="too")
    return ASAN


def guided() -> Path:
    """Engine, targets and driver for libFuzzer, by clang; answers the driver."""
    clang = os.environ.get("CLANG", "clang")
    if shutil.which(clang) is None:
        raise BuildError(f"{clang} is missing: `make fuzz` installs it, or say CLANG=... where it is")
    launcher = "ccache " if shutil.which("ccache") else ""
    _extensions(
        GUIDED,
        CC=launcher + clang,
        LDSHARED=f"{clang} -shared",
        OPENSWAN_SANITIZE=f"{FUZZER},fuzzer-no-link",
        OPENSWAN_FUZZ="too",
    )
    driver = GUIDED / "driver"
    library = f"-lpython{sysconfig.get_config_var('LDVERSION')}"
    _run(
        *(clang, "-g", "-O1", f"-fsanitize=fuzzer,{FUZZER}", "tests/fuzz/driver.c", "-o", str(driver)),
        *(f"-I{sysconfig.get_path('include')}", f"-L{sysconfig.get_config_var('LIBDIR')}", library),
        "-Wl,--export-dynamic",
    )
    return driver
