"""A role of the product with a sampler in its process: `python -m bench.sampled` takes the commands of `avtalsmotor`.

Every millisecond it adds what each thread has used of the processor to the place where that thread stands. The CPU time
is exact by this; where it went is an estimate. Only for profiles: whatever else is measured runs without it.
"""

import contextlib
import json
import os
import sys
import sysconfig
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FrameType

from avtalsmotor.cli import main

EVERY = 0.001
SWITCH = 0.0002
"""Seconds for which a running thread may keep the others, and thus the sampler, waiting: a late sample is untrue."""

AT_REST = {("selectors.py", "select"), ("threading.py", "wait"), ("thread.py", "_worker")}
"""Where a thread waits. What it has used before goes to where it is seen working the next time."""

WRITE_EVERY = 0.5
FOLDER = "samples"
"""In the data directory: one file of each process, named by its number."""

ROOT = Path(__file__).parents[1]
OURS = ("avtalsmotor", "common", "producers", "workers")
NOBODY = "no code of ours"


class Sampler(threading.Thread):
    """Adds up CPU seconds by the package that ran, and by the file of ours on whose behalf it did."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="sampler", daemon=True)
        self._path = path
        self._clocks: dict[int, int] = {}
        self._used: dict[int, float] = {}
        self._packages: dict[str, float] = defaultdict(float)
        self._behalf: dict[str, float] = defaultdict(float)

    def run(self) -> None:
        write_at = time.monotonic()
        while True:
            time.sleep(EVERY)
            self._sample()
            if time.monotonic() >= write_at:
                self._write()
                write_at = time.monotonic() + WRITE_EVERY

    def _sample(self) -> None:
        frames = sys._current_frames()  # noqa: SLF001 - the only way to see where the other threads stand
        for thread in threading.enumerate():
            ident = thread.ident
            if ident is None or thread is self or ident not in frames:
                continue
            with contextlib.suppress(OSError):  # it has just ended
                clock = self._clocks.setdefault(ident, time.pthread_getcpuclockid(ident))
                used = time.clock_gettime(clock)
                code = frames[ident].f_code
                if (os.path.basename(code.co_filename), code.co_name) in AT_REST:
                    continue
                spent = used - self._used.get(ident, 0.0)
                self._used[ident] = used
                self._packages[package_of(code.co_filename)] += spent
                self._behalf[_behalf_of(frames[ident])] += spent

    def _write(self) -> None:
        partial = self._path.with_suffix(".new")
        partial.write_text(json.dumps({"packages": self._packages, "behalf": self._behalf}), encoding="utf-8")
        partial.rename(self._path)


@cache
def package_of(filename: str) -> str:
    """The package of a source file: of ours two levels, of others the outermost, of Python its own module."""
    path = Path(filename)
    if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
        return "/".join(path.relative_to(ROOT).with_suffix("").parts[:2])
    for base in (sysconfig.get_path("platlib"), sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")):
        if path.is_relative_to(base):
            return path.relative_to(base).with_suffix("").parts[0]
    return filename.strip("<>")


def _behalf_of(frame: FrameType | None) -> str:
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            return str(path.relative_to(ROOT))
        frame = frame.f_back
    return NOBODY


def read(home: Path) -> Mapping[str, Mapping[str, float]]:
    """The CPU seconds that all processes of a data directory have told of by now: by `packages`, and by `behalf`."""
    summed: dict[str, dict[str, float]] = {"packages": defaultdict(float), "behalf": defaultdict(float)}
    for path in (home / FOLDER).glob("*.json"):
        for name, told in json.loads(path.read_text(encoding="utf-8")).items():
            for place, seconds in told.items():
                summed[name][place] += seconds
    return summed


if __name__ == "__main__":
    folder = Path(os.environ["AVTALSMOTOR_DATA_DIR"]) / FOLDER
    folder.mkdir(exist_ok=True)
    sys.setswitchinterval(SWITCH)
    Sampler(folder / f"{os.getpid()}.json").start()
    main()
