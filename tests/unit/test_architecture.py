"""Who may import whom (docs/architecture.md): read from the source, so that a late or hidden import counts too."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("avtalsmotor", "common", "producers", "sandbox", "workers")

MAY_IMPORT = {
    "avtalsmotor": {"avtalsmotor", "common", "producers", "sandbox", "workers"},
    "producers": {"producers", "common"},
    "workers": {"workers", "common"},
    "common": {"common"},
    "sandbox": {"sandbox"},
}


def imports_of(package: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield path, alias.name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports relatively: write the whole name"
                assert node.module is not None
                yield path, node.module


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_below_it(package: str) -> None:
    forbidden = set(PACKAGES) | {"dashboard", "tests", "bench"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in imports_of(package)
        if name.split(".")[0] in forbidden - MAY_IMPORT[package]
    ]
    assert wrong == []


def test_the_rules_import_nothing_but_the_standard_library_and_pydantic() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in imports_of("common/rules")
        if name.split(".")[0] not in sys.stdlib_module_names | {"pydantic"}
        and not name.startswith("common.rules")
        and name != "common.ids"
    ]
    assert wrong == []


def test_nobody_but_the_clock_asks_what_time_it_is() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("common", "producers", "workers")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / "common/clock.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "today", "utcnow"}
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date"}
    ]
    assert wrong == []
