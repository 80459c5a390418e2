# SPDX-License-Identifier: GPL-2.0-or-later
"""The source checks its own manners: format, lint, types, import ladder, a test for every file, who may touch what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
SPDX = "# SPDX-License-Identifier: GPL-2.0-or-later"

RUNGS = {
    "base": 0,
    "wire": 1,
    "crypto": 1,
    "policy": 2,
    "config": 2,
    "plane": 2,
    "ike": 3,
    "diagnosis": 3,
    "engine": 4,
    "klips": 4,
    "host": 5,
    "daemon": 6,
    "cli": 6,
}
"""A package imports only from itself, from lower rungs, and from the same rung where SAME_RUNG says so."""
SAME_RUNG = {("config", "policy"), ("plane", "policy")}

OUTSIDE_WORLD = {
    "asyncio",
    "ctypes",
    "dns",
    "fcntl",
    "multiprocessing",
    "netfilterqueue",
    "pyroute2",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "subprocess",
    "threading",
    "time",
    "urllib",
}
"""Modules that are sockets, clocks, entropy, processes or threads: only host imports them."""
EXCEPTIONS = {
    ("klips", "threading"): "starts the threads that sit in the compiled engine",
    ("daemon", "asyncio"): "wires the loop that host's reactor runs in",
    ("daemon", "signal"): "SIGTERM and SIGHUP belong to the process, not to a descriptor",
}


def python_files(*folders: str) -> list[Path]:
    return sorted(
        path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts
    )


PACKAGE = python_files("openswan")


def package_of(path: Path) -> str:
    """`host` for openswan/host/tun.py, empty for openswan/__init__.py."""
    parts = path.relative_to(ROOT / "openswan").parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute module names a file imports anywhere in it, except for type checkers alone, and the line."""
    tree = ast.parse(path.read_text(), str(path))
    ignored: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for each in node.body:
                ignored.update(ast.walk(each))
    for node in ast.walk(tree):
        if node in ignored:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def run(*argv: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in argv], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_format() -> None:
    run(BIN / "ruff", "format", "--check", "openswan", "tests", "setup.py")


def test_lint() -> None:
    run(BIN / "ruff", "check", "openswan", "tests", "setup.py")


def test_types() -> None:
    run(BIN / "mypy")


def test_import_ladder() -> None:
    wrong = []
    for path in PACKAGE:
        here = package_of(path)
        for module, line in imports(path):
            words = module.split(".")
            if words[0] != "openswan" or len(words) < 2 or words[1] not in RUNGS or not here:
                continue
            there = words[1]
            if there == here or RUNGS[there] < RUNGS[here] or (here, there) in SAME_RUNG:
                continue
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {here} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_its_rung() -> None:
    assert {package_of(path) for path in PACKAGE} - {""} == set(RUNGS)


def test_only_klips_imports_the_compiled_engine_which_imports_nothing_of_ours() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in PACKAGE
        for module, line in imports(path)
        if module.split(".")[0] == "_fast" and package_of(path) != "klips"
    ]
    wrong += [
        f"{path.relative_to(ROOT)}: mentions openswan"
        for path in sorted((ROOT / "_fast").glob("*.p*"))
        for line in path.read_text().splitlines()
        if line.split("#")[0].strip().startswith(("import openswan", "from openswan", "cimport openswan"))
    ]
    assert not wrong, "\n".join(wrong)


def test_only_host_touches_the_outside_world() -> None:
    wrong = []
    for path in PACKAGE:
        for module, line in imports(path):
            top = module.split(".")[0]
            here = package_of(path)
            if module.startswith("urllib.parse."):
                continue  # text in, text out
            if top in OUTSIDE_WORLD and here != "host" and (here, top) not in EXCEPTIONS:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: imports {module}")
            if module in ("os.urandom", "os.fork", "os.system", "os.popen") and here != "host":
                wrong.append(f"{path.relative_to(ROOT)}:{line}: imports {module}")
    assert not wrong, "\n".join(wrong)


def test_every_source_file_has_its_test_twin() -> None:
    missing = []
    for path in PACKAGE:
        if path.name == "__init__.py":
            continue
        twin = ROOT / "tests/unit" / path.relative_to(ROOT / "openswan").parent / f"test_{path.name}"
        if not twin.exists():
            missing.append(str(twin.relative_to(ROOT)))
    for path in sorted((ROOT / "_fast").glob("*.pyx")):
        twin = ROOT / "tests/fast" / f"test_{path.stem}.py"
        if not twin.exists():
            missing.append(str(twin.relative_to(ROOT)))
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("path", python_files("openswan", "tests"), ids=lambda path: str(path.relative_to(ROOT)))
def test_file_begins_with_licence_and_purpose(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(SPDX + "\n")
    assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_nothing_is_left_half_done() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X ", "NotImplemented" + "Error", "pytest." + "skip", "mark." + "skip")
    wrong = []
    for path in [*python_files("openswan", "tests"), *sorted((ROOT / "_fast").glob("*.p*"))]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if any(mark in line for mark in marks):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_shell_scripts_stop_at_the_first_error() -> None:
    for path in (ROOT / ".ci").iterdir():
        assert "set -euo pipefail" in path.read_text(), path
