# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's tests on a build with ASan, UBSan and LeakSanitizer: `python -m tests.fuzz.asan [PYTEST ARGUMENT ...]`.

Without arguments: tests/fast, the engine's random fuzzer and tests/unit/klips. Anything a sanitizer says is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.build import ROOT, BuildError, asan

TESTS = ("tests/fast", "tests/unit/klips", "tests/fuzz/test_fuzz_esp.py")
SUPPRESSIONS = "\n".join(
    f"leak:{name}" for name in ("Py_", "PyObject", "PyMem", "PyType", "_Py", "cryptography", "rust")
)
"""Whose memory the interpreter and its libraries keep to the end; the engine's own is never excused."""


def library(name: str) -> str:
    """The compiler's sanitizer runtime."""
    compiler = os.environ.get("CC", "gcc").split()[-1]
    asked = [compiler, f"-print-file-name={name}"]
    return str(Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()).resolve())


def environment(folder: Path) -> dict[str, str]:
    """Python with the runtimes in front and the instrumented engine first on its path."""
    suppressions = folder / "leaks"
    suppressions.write_text(SUPPRESSIONS + "\n")
    return {
        **os.environ,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(folder),
        "OPENSWAN_FAST": str(folder / "_fast"),
        "ASAN_OPTIONS": f"detect_leaks=1:exitcode=77:log_path={folder}/report",
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0:fast_unwind_on_malloc=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={folder}/report",
    }


def main(argv: list[str]) -> int:
    """Build, test, and show what the sanitizers wrote; 0 when they wrote nothing and the tests pass."""
    try:
        folder = asan()
    except BuildError as why:
        print(why, file=sys.stderr)
        return 2
    for old in folder.glob("report.*"):
        old.unlink()
    # Before the tree, whose own engine must not be found; tests/conftest.py makes sure.
    argv = [
        *(sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-o", f"pythonpath={folder} .", "-o", "timeout=600"),
        *(argv or TESTS),
    ]
    status = subprocess.run(argv, cwd=ROOT, env=environment(folder), check=False).returncode
    reports = sorted(folder.glob("report.*"))
    for report in reports:
        print(report.read_text(errors="replace")[:20000])
    print(f"{len(reports)} reports of the sanitizers")
    return 1 if reports else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
