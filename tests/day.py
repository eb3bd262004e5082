"""The day for which the tests read Microsoft's calendar: no test flips because the real one has come.

`make test` runs the tests that judge by dates once more with TESTS_AS_OF=2027-01-15, after the last event that is known.
What is true on one side of an event only, says so with a date of its own.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime

USUAL = "2026-11-22"
SET = os.environ.get("TESTS_AS_OF", "")
DAY = SET or USUAL
DATE = date.fromisoformat(DAY)
NOON = datetime(DATE.year, DATE.month, DATE.day, 12, tzinfo=UTC)
