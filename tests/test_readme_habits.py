"""The README's examples for other programs, each tried as far as it can be without them: parsed, verified, or run."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import readme
import yaml
from prometheus_client.parser import text_string_to_metric_families

import mailwhy
from mailwhy.mock.threaded import Running
from mailwhy.probe import Way
from mailwhy.targets import parse_server

TEXT = readme.README.read_text(encoding="utf-8")
LOGIN = "works@contoso.test"
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def block(language: str, word: str = "") -> str:
    (found,) = [each for each in blocks(language) if word in each]
    return found


@pytest.fixture
def shell(tmp_path: Path, exchange_online: Running) -> Any:
    """Runs a line as a shell would, the example's mailbox being one of the look-alike."""
    servers = exchange_online.servers.server_options(LOGIN)
    (tmp_path / ".scanner-password").write_text(exchange_online.secret_of(LOGIN))
    (tmp_path / ".scanner-password").chmod(0o600)

    def run(line: str, login: str = LOGIN, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {
            **os.environ,
            "HOME": str(tmp_path),
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "MAILWHY_SERVER": " ".join(servers),
            "MAILWHY_CA_FILE": str(exchange_online.ca_file),
            "MAILWHY_AS_OF": readme.AS_OF,
            **more,
        }
        line = line.replace("scanner@contoso.com", login)
        return subprocess.run(
            ["/bin/sh", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_the_ci_step(shell: Any, exchange_online: Running, tmp_path: Path) -> None:
    (step,) = yaml.safe_load(block("yaml"))
    assert set(step) == {"name", "env", "run"}
    line = step["run"].replace("pipx run mailwhy", "mailwhy")
    assert "pipx" not in line
    (secret,) = step["env"]
    done = shell(line, **{secret: exchange_online.secret_of(LOGIN)})
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("mailwhy.*")} == {"mailwhy.xml", "mailwhy.md"}


def test_the_crontab_is_silent_when_it_works_and_tells_when_it_does_not(shell: Any) -> None:
    fields = block("crontab").strip().split(" ", 5)
    for field, most in zip(fields[:5], (59, 23, 31, 12, 7), strict=True):
        assert field == "*" or int(field) <= most
    assert "%" not in fields[5]  # cron would make a line end of it
    done = shell(fields[5])
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    done = shell(fields[5], login="any@security-defaults.test")
    assert "Security Defaults" in done.stdout


def unit(suffix: str) -> str:
    return block("ini", f"mailwhy.{suffix}\n[Unit]")


def test_the_service_does_what_it_says(shell: Any, tmp_path: Path) -> None:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # as the standard library says to keep the case
    read.read_string(unit("service"))
    service = read["Service"]
    (tmp_path / "state" / "mailwhy").mkdir(parents=True)
    (tmp_path / "creds").mkdir()
    (tmp_path / ".scanner-password").rename(tmp_path / "creds" / "password")
    line = service["ExecStart"].replace("%S", str(tmp_path / "state")).replace("%d", str(tmp_path / "creds"))
    name, _, value = service["Environment"].partition("=")
    for _ in range(2):  # the second run replaces the file of the first
        done = shell(line, **{name: value.replace("%S", str(tmp_path / "state"))})
        assert done.returncode == 0, done.stderr
    metrics = (tmp_path / "state" / "mailwhy" / "mailwhy.prom").read_text()
    assert {f.name for f in text_string_to_metric_families(metrics)} >= {"probe_success", "probe_duration_seconds"}
    assert service["SuccessExitStatus"].split() == ["1", "3"]


def test_systemd_takes_both_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd here")
    for suffix in ("service", "timer"):
        (tmp_path / f"mailwhy.{suffix}").write_text(unit(suffix))
    units = [str(tmp_path / "mailwhy.service"), str(tmp_path / "mailwhy.timer")]
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run([analyze, "verify", *units], env=environ, capture_output=True, text=True, check=False)
    mine = [line for line in (done.stdout + done.stderr).splitlines() if "mailwhy" in line]
    assert mine == []
    (tmp_path / "mailwhy.timer").write_text(unit("timer").replace("OnCalendar=*-*-* 06:23", "OnCalendar=*-*-* 25:23"))
    done = subprocess.run([analyze, "verify", units[1]], env=environ, capture_output=True, text=True, check=False)
    assert "mailwhy.timer" in done.stdout + done.stderr, "it would take anything"


def test_nagios_runs_the_line_of_its_command(shell: Any, tmp_path: Path) -> None:
    text = block("nagios")
    objects = {
        kind: dict(line.split(None, 1) for line in body.strip().splitlines())
        for kind, body in re.findall(r"define (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    }
    name, *arguments = objects["service"]["check_command"].split("!")
    assert name == objects["command"]["command_name"]
    arguments[1] = str(tmp_path / ".scanner-password")
    line = objects["command"]["command_line"]
    for number, argument in enumerate(arguments, 1):
        assert f"$ARG{number}$" in line
        line = line.replace(f"$ARG{number}$", argument)
    assert "$ARG" not in line
    done = shell(line)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"MAILWHY OK - SMTP works \| time=\d+\.\d+s;10;20;0 .*\n", done.stdout)
    assert done.stderr == ""


def test_icinga_passes_arguments_that_are_there(shell: Any, tmp_path: Path) -> None:
    text = block("icinga2")
    arguments = re.findall(r'^    "(-[\w-]+)" = "([^"]*)"$', text, re.MULTILINE)
    (command,) = re.findall(r"command = \[ (.*?) \]", text)
    given = {
        "$mailwhy_address$": "scanner@contoso.com",
        "$mailwhy_password_file$": str(tmp_path / ".scanner-password"),
        "$mailwhy_warning$": "10",
        "$mailwhy_critical$": "20",
    }
    words = [word.strip().strip('"') for word in command.split(",")]
    words += [word for pair in arguments for word in pair]
    done = shell(shlex.join(given.get(word, word) for word in words))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MAILWHY OK - ")


def test_the_completion_lines_give_scripts(shell: Any) -> None:
    lines = re.findall(r"_MAILWHY_COMPLETE=(\w+)_source mailwhy", TEXT)
    assert sorted(lines) == ["bash", "fish", "zsh"]
    for name in lines:
        assert "_MAILWHY_COMPLETE" in shell(f"_MAILWHY_COMPLETE={name}_source mailwhy").stdout


def test_the_python_example_runs(
    exchange_online: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = ModuleType("example")
    exec(compile(block("python", "import mailwhy"), "README.md", "exec"), example.__dict__)
    targets = [parse_server(each) for each in exchange_online.servers.server_options(LOGIN)]
    way, real = Way(ca_file=str(exchange_online.ca_file)), mailwhy.check

    async def here(login: str, secret: mailwhy.Secret) -> mailwhy.Outcome:
        return await real(login, secret, targets=targets, way=way, as_of=readme.AS_OF)

    monkeypatch.setattr(mailwhy, "check", here)
    asyncio.run(
        example.main("any@org-smtp-off.test", mailwhy.Secret(exchange_online.secret_of("any@org-smtp-off.test")))
    )
    shown = capsys.readouterr().out.splitlines()
    assert "org.smtp_auth_disabled" in shown[0]
    assert [line.split()[0] for line in shown[1:]] == ["smtp", "imap", "pop"]


def test_the_python_example_is_typed(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(block("python", "import mailwhy"))
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path / "cache"),
        "--config-file=",
        str(file),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_durations_of_the_readme_are_taken() -> None:
    from mailwhy.cli._options import duration

    every, most = re.findall(r"--until-pass --every (\w+) --max (\w+)", TEXT)[0]
    assert duration(every) < duration(most)
