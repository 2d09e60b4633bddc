"""What runs on one machine is what runs in containers, and works every queue."""

import re
from pathlib import Path

from avtalsmotor.processes import ROLES
from common.queue.messages import POOLS

COMPOSE = (Path(__file__).parents[2] / "docker-compose.yml").read_text(encoding="utf-8")


def test_every_pool_has_a_worker_on_one_machine() -> None:
    assert {command[1] for command in ROLES.values() if command[0] == "work"} == set(POOLS)


def test_the_roles_are_the_services_of_the_containers_and_run_by_the_same_commands() -> None:
    services = dict(re.findall(r"^  ([\w-]+):\n(?:    .*\n)*?    command: (produce|work .*)\n", COMPOSE, re.MULTILINE))
    assert services == {role: " ".join(command) for role, command in ROLES.items()}
