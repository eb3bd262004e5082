"""The wheel, built as pip builds it: it holds what it needs and nothing else, and runs where only it is installed."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from mailwhy import __version__
from mailwhy.knowledge import HOME
from mailwhy.knowledge.files import SHIPPED, compiled, gathered

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
INFO = f"mailwhy-{__version__}.dist-info"
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
TEXT = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, offline, by the back end that pyproject.toml names."""
    if find_spec("hatchling") is None:
        assert os.environ.get("CI") != "true", "the extra `dev` has hatchling"
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.iterdir()  # and nothing that the build hook left behind
    return found


def test_it_holds_every_module_and_data_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        shipped = archive.read(f"mailwhy/knowledge/{SHIPPED}").decode()
    files = {path.relative_to(SOURCE).as_posix() for path in (SOURCE / "mailwhy").rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name and not name.startswith("mailwhy/knowledge/")}
    wanted |= {name for name in files if name.startswith("mailwhy/knowledge/") and name.endswith(".py")}
    wanted |= {f"mailwhy/knowledge/{SHIPPED}"}
    about = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names == wanted | about
    kinds = {Path(name).suffix for name in names if name.startswith("mailwhy/")}
    assert kinds == {".py", ".toml", ".css", ".json", ".jsonl", ".typed"}
    assert "mailwhy/py.typed" in names
    assert any(name.startswith("mailwhy/mock/tenants/") for name in names)
    assert shipped == compiled(gathered(HOME))


def test_it_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = email.message_from_bytes(archive.read(f"{INFO}/METADATA"))
        scripts = archive.read(f"{INFO}/entry_points.txt").decode()
        tags = archive.read(f"{INFO}/WHEEL").decode()
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("mailwhy", __version__, "MIT")
    assert about["Requires-Python"] == ">=3.11"
    assert "mailwhy = mailwhy.__main__:main" in scripts
    assert "Tag: py3-none-any" in tags
    needed = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.split(">")[0] for line in needed) == [
        *("aiohappyeyeballs", "aiosmtplib", "click", "dnspython", "platformdirs", "rich")
    ]


def test_it_runs_where_only_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    own_pip = find_spec("pip") is None  # slower
    venv.create(home, with_pip=own_pip)
    python = home / "bin" / "python"
    pip = [str(python), "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", str(python)]
    pip += ["install", "-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())
    # its dependencies come from here: the folder as a path, so that the editable install in it is not seen
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(*words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    script = str(home / "bin" / "mailwhy")
    where = run(str(python), "-c", "import mailwhy; print(mailwhy.__file__)")
    assert Path(where.strip()).is_relative_to(own)
    assert run(script, "--version") == run(str(python), "-m", "mailwhy", "--version") == f"mailwhy {__version__}\n"
    assert "SMTP AUTH" in run(script, "explain", "-q", TEXT)
    assert "<style>" in run(script, "explain", "--format", "html", TEXT)
    assert "Security Defaults" in run(script, "causes", "org.security_defaults")
    assert "contoso.test" in run(script, "mock", "--list")
