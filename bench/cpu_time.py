"""What whole processes cost: the CPU time of a process with all its threads, in user mode and in the kernel."""

import os
from pathlib import Path

from bench.failure import BenchFailed


def cpu_seconds(pid: int) -> float:
    """What the process has used since it started, in steps of 10 ms.

    Raises:
      BenchFailed: there is no such process, or no /proc to ask (only Linux has one).
    """
    return sum(_times(pid)[:2])


def cpu_seconds_with_children(pid: int) -> float:
    """The same, and what those of its children have used that have ended. Raises BenchFailed as `cpu_seconds`."""
    return sum(_times(pid))


def _times(pid: int) -> list[float]:
    """In user mode and in the kernel; the same of the children that have ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BenchFailed(
            f"The CPU time of process {pid} cannot be read: {error}. Run it on Linux, and with --keep DIR to see in"
            " DIR/logs whether the process has died."
        ) from None
    # The name stands in brackets and may hold anything; the four times are the 12th to the 15th field after it.
    ticks = stat.rpartition(")")[2].split()[11:15]
    return [int(one) / os.sysconf("SC_CLK_TCK") for one in ticks]
