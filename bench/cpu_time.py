"""What whole processes cost: the CPU time of a process with all its threads, in user mode and in the kernel."""

import os
from pathlib import Path

from bench.failure import BenchFailed


def cpu_seconds(pid: int) -> float:
    """What the process has used since it started, in steps of 10 ms.

    Raises:
      BenchFailed: there is no such process, or no /proc to ask (only Linux has one).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BenchFailed(
            f"The CPU time of process {pid} cannot be read: {error}. Run it on Linux, and with --keep DIR to see in"
            " DIR/logs whether the process has died."
        ) from None
    # The name stands in brackets and may hold anything; after it, the 12th and 13th field are user and kernel ticks.
    user, kernel = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(kernel)) / os.sysconf("SC_CLK_TCK")
