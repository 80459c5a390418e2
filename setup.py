# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the compiled packet engine: one extension per .pyx of _fast."""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

IPSEC_MB = any(Path(p, "intel-ipsec-mb.h").exists() for p in ("/usr/include", "/usr/local/include"))
SANITIZE = os.environ.get("OPENSWAN_SANITIZE", "")
"""Set to "address,undefined" for a build under LD_PRELOAD=libasan.so, with a --build-lib of its own (`make asan`)."""
FUZZ = os.environ.get("OPENSWAN_FUZZ", "")
"""Build the fuzz targets of tests/fuzz, which are never installed: "only" them, or "too" with the engine."""

COMPILED = os.environ.get("OPENSWAN_ENGINE", "") == "compiled"
"""Its extensions stand in _fast already: an editable install would compile all of them a second time."""

wanted = FUZZ != "only" and not COMPILED
sources = {f"_fast.{path.stem}": path for path in sorted(Path("_fast").glob("*.pyx"))} if wanted else {}
if FUZZ:
    sources |= {f"fuzz_{path.stem}": path for path in sorted(Path("tests/fuzz").glob("*.pyx"))}
sanitizer = []
if SANITIZE:
    sanitizer = [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1"]
extensions = [
    Extension(
        name,
        [str(path)],
        # The shared headers are declarations inlined into every module: a change in one rebuilds them all.
        depends=[str(pxd) for pxd in sorted(Path("_fast").glob("*.pxd"))],
        libraries=["crypto", "z", *(["IPSec_MB"] if IPSEC_MB else [])],
        define_macros=[("HAVE_IPSEC_MB", "1" if IPSEC_MB else "0")],
        extra_compile_args=["-O3", "-fno-strict-aliasing", "-Wall", "-Wno-unused-function", *sanitizer],
        extra_link_args=sanitizer[:1],
    )
    for name, path in sources.items()
]

setup(
    packages=[*find_packages(include=["openswan", "openswan.*"]), "_fast"],
    package_data={"openswan": ["py.typed"], "_fast": ["*.pxd", "*.pyi"]},
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython" if SANITIZE or FUZZ else None,
        language_level=3,
        compiler_directives={"boundscheck": False, "wraparound": False, "cdivision": True},
    ),
)
