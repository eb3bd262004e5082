"""Asks pip-audit for known holes in the pinned dependencies. Ends with 1 only where it has found one.

What could not be asked is said, and said to be no pass: without a network the build must go on, but not in silence.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"
SECONDS = 300
INSTALL = ("pip", "install", "-q", "--disable-pip-version-check", "pip-audit")
ASK = ("pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip", "--format", "json")


def main() -> int:
    """The exit code."""
    try:
        made = _run(*INSTALL)
        if made.returncode:
            return _not_asked("pip-audit cannot be installed", made.stderr)
        done = _run(*ASK, "--progress-spinner", "off")
    except subprocess.TimeoutExpired:
        return _not_asked(f"no answer within {SECONDS} s", "")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _not_asked("its database cannot be reached", done.stderr)
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    if len(skipped) == len(packages):
        return _not_asked(
            "its database answered for none of the packages", str(packages[0]["skip_reason"] if packages else "")
        )
    holes = [f"{each['name']}: {hole['id']}" for each in packages for hole in each.get("vulns", ())]
    sys.stdout.write("".join(f"{hole}\n" for hole in holes))
    sys.stdout.write(f"Audited {len(packages) - len(skipped)} packages: {len(holes)} known holes.\n")
    if skipped:
        sys.stdout.write(f"Not audited: {', '.join(skipped)}\n")
    return 1 if holes else 0


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - our own words


def _not_asked(why: str, words: str) -> int:
    last = (words.strip().splitlines() or [""])[-1]
    sys.stderr.write(f"NOT AUDITED: {why}. This is no pass. {last}"[:500] + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
