"""`make mutants`: breaks one rule of the product after the other, and sees that a named test fails for it.

The head of each patch says in words which rule it breaks, and names the tests that catch it. They must pass on the
product as it is. A patch is applied to a copy of the tree, never to the tree itself; a test that cannot even be run
there has caught nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent

AT_ONCE = 2
TEST_TAKES = 60
"""Seconds after which a test has failed: a product without one of its rules may well wait for ever."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule."""

    name: str
    rule: str
    broken: str
    tests: Sequence[str]
    patch: Path

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Reads the head. Raises ValueError when it says too little."""
        head: dict[str, list[str]] = {"Rule": [], "Broken": [], "Caught by": []}
        for line in patch.read_text(encoding="utf-8").split("\n--- ", 1)[0].splitlines():
            name, _, said = line.partition(": ")
            head.setdefault(name, []).append(said)
        if set(head) != {"Rule", "Broken", "Caught by"} or not all(head.values()):
            raise ValueError(
                f"The head of {patch.name} must have lines of Rule:, Broken: and Caught by:, and no others."
            )
        return cls(patch.stem, " ".join(head["Rule"]), " ".join(head["Broken"]), head["Caught by"], patch)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    caught_by: Sequence[str]
    """The tests that failed."""
    trouble: str
    """Why nothing has caught it; empty if something has."""
    seconds: float


def main() -> int:
    """Returns 0 when every mutant is caught."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of patches; all of them if none is given")
    only = set(parser.parse_args().only)
    mutants = [Mutant.read(patch) for patch in sorted(PATCHES.glob("*.patch")) if not only or patch.stem in only]
    unknown = only - {mutant.name for mutant in mutants}
    if unknown:
        print(f"There is no mutant {', '.join(sorted(unknown))} in tests/mutants.", file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        whole = Path(scratch) / "whole"
        _copy(whole)
        if not _all_pass(whole, mutants):
            return 1
        with ThreadPoolExecutor(AT_ONCE) as pool:
            verdicts = list(pool.map(lambda mutant: _try(mutant, whole, Path(scratch) / mutant.name), mutants))
    _print_table(verdicts)
    missed = [verdict for verdict in verdicts if verdict.trouble]
    for verdict in missed:
        print(f"\n{verdict.mutant.name}: {verdict.trouble}", file=sys.stderr)
    print(f"\n{len(verdicts) - len(missed)} of {len(verdicts)} mutants caught in {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


def _copy(whole: Path) -> None:
    """The files that git has, or would have: what is being worked on counts too."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    if listed.returncode:
        raise SystemExit(f"The tree could not be copied: {listed.stderr.strip()} Run it in a clone of the repository.")
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (whole / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, whole / name)


def _all_pass(whole: Path, mutants: Iterable[Mutant]) -> bool:
    """Whether the named tests pass on the product as it is: a test that always fails catches nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    ran = _pytest(whole, tests, "-n", str(AT_ONCE))
    if ran.returncode:
        print(ran.stdout)
        print("The named tests do not all pass on the product as it is. Mend that first.", file=sys.stderr)
    return not ran.returncode


def _try(mutant: Mutant, whole: Path, place: Path) -> Verdict:
    began = time.monotonic()
    shutil.copytree(whole, place)
    applied = _run(["git", "apply", "--whitespace=nowarn", str(mutant.patch)], place)
    if applied.returncode:
        words = applied.stderr.strip()
        trouble = f"the patch no longer applies, since the code around it has changed: refresh it.\n{words}"
        return Verdict(mutant, (), trouble, time.monotonic() - began)
    ran = _pytest(place, mutant.tests, "-x", "--junitxml=result.xml")
    failed, broken = _outcomes(place / "result.xml")
    trouble = ""
    if not failed:
        trouble = "the tests could not be run" if broken or ran.returncode > 1 else "the named tests pass all the same"
        trouble = f"{trouble}.\n{ran.stdout[-2000:]}"
    shutil.rmtree(place)
    return Verdict(mutant, failed, trouble, time.monotonic() - began)


def _pytest(place: Path, tests: Sequence[str], *options: str) -> subprocess.CompletedProcess[str]:
    quietly = ["-q", "-p", "no:cacheprovider", f"--timeout={TEST_TAKES}"]
    return _run([sys.executable, "-m", "pytest", *quietly, *options, *tests], place)


def _outcomes(result: Path) -> tuple[list[str], bool]:
    """The tests that failed; and whether one could not be run at all, which is another thing."""
    if not result.exists():
        return [], True
    # Written by pytest, a moment ago.
    cases = ElementTree.parse(result).getroot().iter("testcase")  # noqa: S314
    failed, broken = [], False
    for case in cases:
        if case.find("failure") is not None:
            failed.append(case.get("name", ""))
        broken = broken or case.find("error") is not None
    return failed, broken


def _run(command: Sequence[str], place: Path) -> subprocess.CompletedProcess[str]:
    # Git must take the copy for what it is, not for a part of a repository around it.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(place.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def _print_table(verdicts: Sequence[Verdict]) -> None:
    print("| rule | broken | caught by | s |")
    print("|---|---|---|---|")
    for verdict in verdicts:
        caught = ", ".join(verdict.caught_by) or "**nothing**"
        print(f"| {verdict.mutant.rule} | {verdict.mutant.broken} | {caught} | {verdict.seconds:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
