"""Dovecot, and Postfix where there may be one, for the benchmark: prints where they are as JSON, ends with its input.

servers.py FOLDER [ADDRESS]     ADDRESS: one more to listen on
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from real import certs, dovecot, people, postfix


def main() -> None:
    """Starts, prints, waits for the end of its input, stops."""
    folder = Path(sys.argv[1])
    more = sys.argv[2:]
    certs.NAMES += tuple(more)  # type: ignore[assignment]  # one name more, for this run only
    dovecot.addresses = lambda: ["127.0.0.1", *more]
    made = certs.make(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    mail = dovecot.Dovecot.start(made)
    try:
        submission = None
        where = {"ca": str(made.ca), "smtp": mail.ports["submission"], "server": "Dovecot"}
        if not postfix.missing() and not more:
            submission = postfix.Postfix.start(made, mail)
            where |= {"smtp": submission.ports["submission"], "server": "Postfix, Dovecot"}
        where |= {"imap": mail.ports["imaps"], "pop": mail.ports["pop3s"], "pid": mail.processes[0].pid}
        login = f"app@{people.DOMAIN}"
        print(json.dumps({**where, "login": login, "password": people.USERS[login]}), flush=True)
        sys.stdin.read()
        if submission:
            submission.stop()
    finally:
        mail.stop()


if __name__ == "__main__":
    main()
