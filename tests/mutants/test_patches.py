"""The mutants are kept up with the product: `make mutants` tries them, which takes longer."""

import subprocess
from pathlib import Path

import pytest

from tests.mutants.__main__ import PATCHES, ROOT, Mutant

MUTANTS = sorted(PATCHES.glob("*.patch"))


@pytest.mark.parametrize("patch", MUTANTS, ids=[patch.stem for patch in MUTANTS])
def test_a_mutant_says_what_it_breaks_and_still_applies(patch: Path) -> None:
    mutant = Mutant.read(patch)
    assert all((ROOT / test.split("::")[0]).is_file() for test in mutant.tests), (
        "a test of it has moved: refresh its head"
    )
    checked = subprocess.run(
        ["git", "apply", "--check", str(patch)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not checked.returncode, f"the code around it has changed: refresh {patch.name}\n{checked.stderr}"
