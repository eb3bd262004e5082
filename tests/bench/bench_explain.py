"""Measures `explain`: one line, and lines per second on growing logs. A script; nothing is asserted.

python tests/bench/bench_explain.py [LINES ...]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from mailwhy import run

REFUSED = (
    "Sep 28 13:03:50 relay postfix/smtp[17059]: 9BDCBA19EA: SASL authentication failed; server smtp.office365.com"
    "[40.99.150.50] said: 535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator."
)
QUIET = (
    "Sep 28 13:03:49 relay postfix/qmgr[811]: 9BDCBA19EA: from=<app@example.com>, size=1432, nrcpt=1 (queue active)",
    "Sep 28 13:03:49 relay postfix/smtpd[900]: connect from app.example.com[192.0.2.7]",
    "Sep 28 13:03:50 relay postfix/cleanup[901]: 9BDCBA19EA: message-id=<20260928130350.9BDCBA19EA@relay.example.com>",
    "Sep 28 13:03:50 relay postfix/smtpd[900]: disconnect from app.example.com[192.0.2.7] ehlo=1 mail=1 quit=1",
)


def log(lines: int, every: int, *, names: bool = False) -> Iterator[bytes]:
    """A log in pieces of 1,000 lines, with one refusal in `every` lines; names: every line has its own queue id."""
    for start in range(0, lines, 1000):
        piece = (
            REFUSED.replace("13:03", f"{n // 60000 % 24:02}:{n // 1000 % 60:02}") if n % every == 0 else QUIET[n % 4]
            for n in range(start, min(lines, start + 1000))
        )
        if names:
            piece = (line.replace("9BDCBA19EA", f"{start + n:010X}") for n, line in enumerate(piece))
        yield ("\n".join(piece) + "\n").encode()


def main() -> None:
    began = time.perf_counter()
    run.explain(REFUSED)
    print(f"one line, first in the process   {time.perf_counter() - began:8.3f} s")
    began = time.perf_counter()
    run.explain(REFUSED)
    print(f"one line, again                  {time.perf_counter() - began:8.3f} s")
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mailwhy", "explain", REFUSED, "--format", "json"], stdout=subprocess.DEVNULL, check=True
    )
    print(f"one line, the whole command      {time.perf_counter() - began:8.3f} s")
    for lines in [int(text) for text in sys.argv[1:]] or [100_000, 300_000, 1_000_000]:
        for every, names in ((100_000, False), (1_000, False), (1_000, True), (3, False), (3, True)):
            asked = lines if every > 100 else lines // 10
            began, ran = time.perf_counter(), time.process_time()
            outcome = run.explain(log(asked, every, names=names))
            took, ran = time.perf_counter() - began, time.process_time() - ran
            seen = outcome.diagnoses[0].attempt.seen
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"{asked:>9,} lines, one refusal in {every:>7,}{', each line its own' if names else '':<19}: {took:7.2f} s"
                f" {asked / took:>9,.0f} lines/s {asked / ran:>9,.0f} a CPU second"
                f"  found {seen.count if seen else 0}  peak {memory} MB"
            )


if __name__ == "__main__":
    main()
