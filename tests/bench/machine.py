# SPDX-License-Identifier: GPL-2.0-or-later
"""What the figures were measured on, and how figures are written down."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def describe() -> str:
    """One line: processor, cores, memory, kernel."""
    cpu = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    load = os.getloadavg()[0]
    gigabytes = int(memory.split()[1]) / (1 << 20)
    return (
        f"{cpu}, {os.cpu_count()} cores, {gigabytes:.0f} GB, Linux {platform.release()}, load {load:.1f} at the start"
    )


def spread(values: Sequence[float], unit: str = "") -> str:
    """Median and range of several runs: `3.21 (2.90-3.40) Gbit/s`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.3g} ({low:.3g}-{high:.3g}){' ' + unit if unit else ''}"


def resident(pid: int) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def spent(pid: int) -> float:
    """Processor time of a process until now, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
