# SPDX-License-Identifier: GPL-2.0-or-later
"""`make fuzz-ike`: atheris, guided by coverage, into the targets of tests/fuzz/iketargets.py.

`python -m tests.fuzz.ike [MINUTES [TARGET ...]]` runs each target so long (15 minutes), FUZZ_JOBS side by side, and
says how many inputs it had. An input that broke something stays in build/fuzz-ike/found, what each target said in
build/fuzz-ike/TARGET.log.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.fuzz.jobs import jobs, nice

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build/fuzz-ike"
PACKAGES = ["openswan.wire", "openswan.ike", "openswan.policy"]
"""Whose branches guide the fuzzer."""
LONGEST = 4096
"""Octets of an input."""
HANG = 600
"""Seconds by the clock after which an input counts as one that never ends: at the lowest priority of a busy machine a
process may not get its turn for a minute."""


@dataclass(frozen=True)
class Outcome:
    """What one target's run came to."""

    target: str
    executions: int
    seconds: int
    edges: int
    trouble: str

    def __str__(self) -> str:
        done = f"{self.target:<10} {self.executions:>12,} executions {self.seconds:>6} s {self.edges:>6} edges"
        return f"{done}  {self.trouble or 'nothing found'}"


def one(name: str, seconds: str) -> None:
    """Run one target in this process, which ends with it."""
    import atheris

    # The targets and all they need are imported here and nowhere before: only what is imported so is followed.
    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.iketargets import seeds, targets
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [
            f"-max_len={LONGEST}",
            f"-max_total_time={seconds}",
            f"-timeout={HANG}",
            "-print_final_stats=1",
            f"-artifact_prefix={OUTPUT}/found/{name}-",
        ]
        atheris.Setup([sys.argv[0], *options, corpus], targets()[name]())
        atheris.Fuzz()


def fuzz(name: str, seconds: int) -> Outcome:
    """One target for so many seconds, in a process of its own."""
    argv = nice(sys.executable, "-m", "tests.fuzz.ike", "one", name, str(seconds))
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    (OUTPUT / f"{name}.log").write_text(done.stdout)
    took = re.findall(r"^Done (\d+) runs in (\d+) second", done.stdout, re.MULTILINE)
    edges = re.findall(r" cov: (\d+) ", done.stdout)
    executions, elapsed = map(int, took[-1]) if took else (0, 0)
    good = done.returncode == 0 and executions
    trouble = "" if good else f"exit status {done.returncode}\n{done.stdout[-3000:]}"
    return Outcome(name, executions, elapsed, int(edges[-1]) if edges else 0, trouble)


def main(argv: list[str]) -> int:
    """Every target, each in a process of its own; 1 when one found something, 2 when there is none of that name."""
    if argv[:1] == ["one"]:
        one(argv[1], argv[2])
        return 0
    from tests.fuzz.iketargets import targets

    seconds = int(float(argv[0]) * 60) if argv else 900
    if unknown := set(argv[1:]) - targets().keys():
        print(f"unknown target {', '.join(sorted(unknown))}: there are {', '.join(targets())}", file=sys.stderr)
        return 2
    (OUTPUT / "found").mkdir(parents=True, exist_ok=True)
    troubled = False
    with ThreadPoolExecutor(jobs()) as pool:
        for outcome in pool.map(partial(fuzz, seconds=seconds), argv[1:] or targets()):
            print(outcome, flush=True)
            troubled |= bool(outcome.trouble)
    return int(troubled)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
