# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's tests on a build with ASan, UBSan and LeakSanitizer: `python -m tests.fuzz.asan [PYTEST ARGUMENT ...]`.

Without arguments: every file of tests/fast and tests/unit/klips, the engine's random fuzzer, and what guided fuzzers
kept, by target; a process each, FUZZ_JOBS side by side (as many as there are cores). Anything a sanitizer says is a
failure, and so is a test that fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.fuzz.build import ROOT, BuildError, asan
from tests.fuzz.guided import TARGETS
from tests.fuzz.jobs import jobs

TESTS = ("tests/fast", "tests/unit/klips", "tests/fuzz/test_fuzz_esp.py")
KEEPERS = ("bin/python3", "libpython3", "lib-dynload", "_rust", "_cffi_backend")
"""Who keeps memory to the end of its process: interpreter and libraries. LeakSanitizer looks for these names in the
whole stack of an allocation, which is therefore cut to who asked for it: the engine's own is never excused."""


def library(name: str) -> str:
    """The compiler's sanitizer runtime."""
    compiler = os.environ.get("CC", "gcc").split()[-1]
    asked = [compiler, f"-print-file-name={name}"]
    return str(Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()).resolve())


def environment(folder: Path) -> dict[str, str]:
    """Python with the runtimes in front and the instrumented engine first on its path."""
    suppressions = folder / "leaks"
    suppressions.write_text("".join(f"leak:{name}\n" for name in KEEPERS))
    return {
        **os.environ,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "OPENSWAN_FAST": str(folder / "_fast"),
        # Two frames of a stack, the allocator's and its caller's: following each of the interpreter's millions of
        # allocations to its bottom took most of the time.
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=77:malloc_context_size=2:quarantine_size_mb=32"
        f":log_path={folder}/report",
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={folder}/report",
    }


def files() -> list[str]:
    """Of TESTS, the largest first: they take longest, mostly."""
    found = [
        path for name in TESTS for path in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("test_*.py"))
    ]
    return [str(path.relative_to(ROOT)) for path in sorted(found, key=lambda path: -path.stat().st_size)]


def tests_of(folder: Path, *arguments: str) -> list[str]:
    """The command for pytest with these arguments."""
    return [
        # -P: before the tree, whose own engine must not be found; tests/conftest.py makes sure.
        *(sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"),
        # UBSan's runtime writes to descriptor 2, whatever its log_path says, and ends the process: pytest must let it.
        *("--capture=sys", "-o", f"pythonpath={folder} .", "-o", "timeout=600"),
        *arguments,
    ]


def run(folder: Path, name: str, argv: list[str]) -> int:
    """This command; its exit status. What it says is shown when it fails, of a run without a name at once."""
    start = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE if name else None,
        stderr=subprocess.STDOUT if name else None,
        text=True,
        errors="replace",
        check=False,
    )
    if name:
        print(f"{name:<44} {time.monotonic() - start:5.0f} s  exit status {done.returncode}", flush=True)
        if done.returncode:
            print(done.stdout[-6000:], flush=True)
    return done.returncode


def main(argv: list[str]) -> int:
    """Build, test, and show what the sanitizers wrote; 0 when they wrote nothing and the tests pass."""
    try:
        folder = asan()
    except BuildError as why:
        print(why, file=sys.stderr)
        return 2
    for old in folder.glob("report.*"):
        old.unlink()
    if argv:
        statuses = [run(folder, "", tests_of(folder, *argv))]
    else:
        runs = {name: tests_of(folder, name) for name in files()}
        runs |= {f"corpus of {name}": [sys.executable, "-P", "-m", "tests.fuzz.replay", name] for name in TARGETS}
        with ThreadPoolExecutor(jobs()) as pool:
            statuses = list(pool.map(partial(run, folder), runs.keys(), runs.values()))
    reports = sorted(folder.glob("report.*"))
    for report in reports:
        print(report.read_text(errors="replace")[:20000])
    failed = sum(status != 0 for status in statuses)
    print(f"{len(statuses)} runs, {failed} failed; {len(reports)} reports of the sanitizers")
    return 1 if reports or any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
