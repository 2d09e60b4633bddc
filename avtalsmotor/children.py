"""Starts programs that do not outlive this process, however it ends.

On Linux the kernel sees to it; on macOS nothing does, and whoever starts next finds and ends what is left over.
"""

import os
import signal
import sys
from collections.abc import Sequence


def bound_to_parent(command: Sequence[str]) -> list[str]:
    """The command that starts `command` so that the kernel ends it when this process dies. Linux only, else unchanged.

    A step in between rather than `preexec_fn`, which is unsafe once there are threads. The kernel watches the *thread*
    that starts it, so that must be the main one.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


_DIE_WITH_PARENT = f"""
import ctypes, os, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, {int(signal.SIGTERM)})
if os.getppid() == int(sys.argv[1]):  # else the parent has died before the kernel could know
    os.execv(sys.argv[2], sys.argv[2:])
"""
