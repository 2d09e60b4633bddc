"""Every bench runs to its end at the size of a toy: what nobody runs every day must not rot. No figure is judged."""

import argparse
import json

import pytest

from bench.__main__ import BENCHES

QUICK = (
    "latency --mode idle --companies 1",
    "small_behind_large --large-due 4 --small-due 1 --rounds 1",
    "scaling --companies 1 --due 1 --workers 1 --script-companies 1",
    "planning --contracts 40 --companies 2 --one-in 2 --on sqlite",
    "runs --contracts 40 --companies 2 --months 1 --on sqlite",
)
SLOW = (
    "latency --mode midnight --companies 1 --before 12",
    "latency --mode load --companies 1 --loaded 2 --loaded-due 60",
    "one_tenant --due 8 --no-network",
    "cpu --companies 1 --due 1 --ledger postgresql",
    "growth --companies 2 --invoices 2 --rest 0.2",
    "planning --contracts 40 --companies 2 --one-in 2 --on postgresql",
    "runs --contracts 40 --companies 2 --months 1 --on postgresql",
)


@pytest.mark.parametrize("asked", [*QUICK, *(pytest.param(asked, marks=pytest.mark.slow) for asked in SLOW)])
async def test_a_bench_runs_to_its_end(asked: str) -> None:
    name, *arguments = asked.split()
    parser = argparse.ArgumentParser()
    BENCHES[name].add_options(parser)
    figures = await BENCHES[name].run(parser.parse_args(arguments))
    assert json.loads(json.dumps(figures)) == figures


def test_no_bench_is_left_out() -> None:
    assert {asked.split()[0] for asked in (*QUICK, *SLOW)} == set(BENCHES)
