# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the compiled packet engine: one extension per .pyx of _fast."""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

IPSEC_MB = any(Path(p, "intel-ipsec-mb.h").exists() for p in ("/usr/include", "/usr/local/include"))
SANITIZE = os.environ.get("OPENSWAN_SANITIZE", "")
"""Set to "address" (or "address,undefined") for a build to be run under LD_PRELOAD=libasan.so."""

sanitizer = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g", "-O1"] if SANITIZE else []
extensions = [
    Extension(
        f"_fast.{path.stem}",
        [str(path)],
        # The shared headers are declarations inlined into every module: a change in one rebuilds them all.
        depends=[str(pxd) for pxd in sorted(Path("_fast").glob("*.pxd"))],
        libraries=["crypto", *(["IPSec_MB"] if IPSEC_MB else [])],
        define_macros=[("HAVE_IPSEC_MB", "1" if IPSEC_MB else "0")],
        extra_compile_args=["-O3", "-fno-strict-aliasing", "-Wall", "-Wno-unused-function", *sanitizer],
        extra_link_args=sanitizer[:1],
    )
    for path in sorted(Path("_fast").glob("*.pyx"))
]

setup(
    packages=[*find_packages(include=["openswan", "openswan.*"]), "_fast"],
    package_data={"openswan": ["py.typed"], "_fast": ["*.pxd", "*.pyi"]},
    ext_modules=cythonize(
        extensions, language_level=3, compiler_directives={"boundscheck": False, "wraparound": False, "cdivision": True}
    ),
)
