"""A program, not a test: takes every message on the given loopback port and forgets it.

Dovecot's submission service hands MAIL FROM on to a relay; with none behind it, a sign-in could not be used.
"""

from __future__ import annotations

import contextlib
import socketserver
import sys

END_OF_MESSAGE = b".\r\n"


class Session(socketserver.StreamRequestHandler):
    """Says yes to everything; the words matter to nobody."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # Dovecot drops the connection when its client does
            self._talk()

    def _talk(self) -> None:
        self.wfile.write(b"220 relay.test ESMTP\r\n")
        for line in self.rfile:
            verb = line.strip().upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                for text in self.rfile:
                    if text == END_OF_MESSAGE:
                        break
            self.wfile.write(b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n")
            if verb == b"QUIT":
                return


class Relay(socketserver.ThreadingTCPServer):
    """One thread a connection; they end with the program."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Relay(("127.0.0.1", int(sys.argv[1])), Session) as relay:
        relay.serve_forever()
