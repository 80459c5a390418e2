# SPDX-License-Identifier: GPL-2.0-or-later
"""Coverage-guided fuzzing of the packet engine: `python -m tests.fuzz.guided MINUTES [keep] [TARGET ...]`.

Every target runs for so many minutes, FUZZ_JOBS side by side (as many as there are cores), and begins with the kept
corpus and one specimen of each kind. What it finds stays in build/fuzz/found; `keep` minimises the corpus and writes
it back.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.build import GUIDED, ROOT, BuildError, guided
from tests.fuzz.jobs import jobs, nice
from tests.fuzz.seeds import seeds

TARGETS = (
    *("tun", "inside", "wire", "merge", "policy", "headers", "segment", "fragment", "join", "replay", "eroutes"),
    *("ah", "ipcomp", "outward", "inward", "expect", "handoff", "intake", "stream"),
)
LONGEST = 4096
KEPT_LONGEST = 1024
"""Octets of an input: while fuzzing, and of those that are kept."""
SUPPRESSIONS = "leak:libpython3\n"
"""The interpreter frees little at its end; what the engine allocates is never excused."""


@dataclass(frozen=True)
class Outcome:
    """What one target's run came to."""

    target: str
    executions: int
    seconds: int
    edges: int
    inputs: int
    trouble: str

    def __str__(self) -> str:
        rate = self.executions // max(1, self.seconds)
        done = f"{self.target:<10} {self.executions:>12,} executions {rate:>9,}/s {self.edges:>6} edges"
        return f"{done} {self.inputs:>5} inputs  {self.trouble or 'nothing found'}"


def environment(target: str) -> dict[str, str]:
    """What the driver needs to find its modules, and how its sanitizers behave."""
    path = [str(GUIDED), str(ROOT), *(each for each in sys.path if each.endswith("-packages"))]
    suppressions = GUIDED / "leaks"
    suppressions.write_text(SUPPRESSIONS)
    return {
        **os.environ,
        "FUZZ_TARGET": target,
        "PYTHONPATH": os.pathsep.join(path),
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=0",
    }


def drive(driver: Path, target: str, *argv: str) -> tuple[int, str]:
    """Run the driver; its exit status and what it printed."""
    done = subprocess.run(
        nice(str(driver), *argv),
        cwd=GUIDED,
        env=environment(target),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def fuzz(driver: Path, target: str, seconds: int) -> Outcome:
    """One target for so many seconds."""
    folder, found = GUIDED / "corpus" / target, GUIDED / "found"
    found.mkdir(parents=True, exist_ok=True)
    kept, failed = corpus.load(target)
    corpus.unpack([*kept, *failed, *seeds(target)], folder)
    # Leaks are looked for once, at the end: looking after each input that keeps memory would take all the time.
    status, said = drive(
        driver,
        target,
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        "-detect_leaks=0",
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={found}/{target}-",
        str(folder),
    )
    (GUIDED / f"{target}.log").write_text(said)
    trouble = ""
    if status:
        reasons = re.findall(r"^(?:complaint: .*|SUMMARY: .*|.*runtime error: .*|.*Error: .*)$", said, re.MULTILINE)
        trouble = "; ".join(dict.fromkeys(reasons)) or f"exit status {status}"
    numbers = re.findall(r"^stat::number_of_executed_units: (\d+)$", said, re.MULTILINE)
    edges = re.findall(r" cov: (\d+) ", said)
    return Outcome(
        target,
        int(numbers[-1]) if numbers else 0,
        seconds,
        int(edges[-1]) if edges else 0,
        len(list(folder.iterdir())),
        trouble,
    )


def minimise(driver: Path, target: str) -> None:
    """Write back the fewest kept inputs that reach everything reached."""
    few = GUIDED / "few" / target
    few.mkdir(parents=True, exist_ok=True)
    for old in few.iterdir():
        old.unlink()
    status, said = drive(
        driver,
        target,
        "-merge=1",
        "-detect_leaks=0",
        f"-max_len={KEPT_LONGEST}",
        str(few),
        str(GUIDED / "corpus" / target),
    )
    if status:
        raise BuildError(said[-3000:])
    corpus.store(target, (each.read_bytes() for each in few.iterdir()), corpus.load(target)[1])


def main(argv: list[str]) -> int:
    """Build, fuzz, and say how much was tried; 1 when anything was found."""
    seconds = int(float(argv[0]) * 60) if argv else 60
    names = [each for each in argv[1:] if each != "keep"]
    if unknown := set(names) - set(TARGETS):
        print(f"unknown target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    try:
        driver = guided()
        with ThreadPoolExecutor(jobs()) as pool:
            outcomes = []
            for outcome in pool.map(lambda target: fuzz(driver, target, seconds), names or TARGETS):
                print(outcome, flush=True)
                outcomes.append(outcome)
            if "keep" in argv and not any(outcome.trouble for outcome in outcomes):
                list(pool.map(lambda target: minimise(driver, target), names or TARGETS))
    except BuildError as why:
        print(why, file=sys.stderr)
        return 2
    if any(outcome.trouble for outcome in outcomes):
        print(
            f"inputs in {(GUIDED / 'found').relative_to(ROOT)}, what was said in {GUIDED.relative_to(ROOT)}/TARGET.log"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
