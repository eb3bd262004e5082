"""Dockerfile and docker-compose.yml: what they name exists, and nothing is published beyond loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from mailwhy.cli.mock import STEP, command
from mailwhy.mock.servers import LISTENERS

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def entry() -> list[str]:
    found = re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    words: list[str] = json.loads(found[1])
    return words


def test_the_entry_point_has_options_that_exist() -> None:
    helped = CliRunner().invoke(command, ["--help"]).output
    assert entry()[:2] == ["mailwhy", "mock"]
    assert [word for word in entry() if word.startswith("--") and word not in helped] == []


def test_copied_paths_exist() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name


def test_published_ports_are_those_that_the_mock_opens_and_on_loopback_only() -> None:
    base = int(entry()[entry().index("--port-base") + 1])
    expected = {base + number for number in range(len(LISTENERS))}
    published = [port.split(":") for port in COMPOSE["services"]["mock"]["ports"]]
    assert {host for host, _, _ in published} == {"127.0.0.1"}
    assert {int(inside) for _, _, inside in published if int(inside) < base + STEP} >= expected
    exposed = {int(port) for port in re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)[0].split()}
    assert {int(inside) for _, _, inside in published} <= exposed


def test_it_runs_as_nobody_special_with_a_read_only_root_and_a_health_check() -> None:
    mock = COMPOSE["services"]["mock"]
    assert re.search(r"^USER (?!root|0\b)", DOCKERFILE, re.MULTILINE)
    assert ":2080/" in mock["healthcheck"]["test"][-1]
    assert mock["read_only"] is True
    assert mock["cap_drop"] == ["ALL"]
