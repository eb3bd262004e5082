"""Dovecot 2.3 on loopback, without privileges: IMAP, POP3 and submission, each on three kinds of port.

Debian's packages are enough; nothing of the machine's own configuration is read. Dovecot calls a connection
"secured" when both its ends have the same address, so 127.0.0.1 offers PLAIN in clear and 127.0.0.2 (which the
kernel reaches from 127.0.0.1) says LOGINDISABLED until TLS stands: one server shows both.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

from real import people
from real import relay as relay_program
from real.certs import STRANGER, Certs
from real.process import Server, is_root

from mailwhy.model import Protocol, Target, Tls

PROGRAM = "/usr/sbin/dovecot"
MODULES = ("imap-login", "pop3-login", "submission-login")
LISTENERS = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "relay")
STRICT = "127.0.0.2"  # the address on which nothing is offered in clear text

CONFIGURATION = """
protocols = imap pop3 submission
listen = {addresses}
instance_name = mailwhy-tests
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{home}/mail/%u
ssl = yes
ssl_cert = <{home}/chain.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
auth_verbose = yes
mail_max_userip_connections = 100
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {home}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  username_filter = {unwell}
  args = {home}/closed
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  username_filter = !{unwell} *
  args = {home}/users
}}
userdb {{
  driver = prefetch
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = {submissions}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener {home}/sasl {{
    mode = 0666
  }}
}}
"""

TOKENS = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={home}/keys/
username_attribute = sub
"""

_LISTENER: dict[tuple[Protocol, bool], str] = {
    (Protocol.IMAP, False): "imap",
    (Protocol.IMAP, True): "imaps",
    (Protocol.POP, False): "pop3",
    (Protocol.POP, True): "pop3s",
    (Protocol.SMTP, False): "submission",
    (Protocol.SMTP, True): "submissions",
}


def missing() -> str:
    """What is not installed, as words for a skip; "" when all is there."""
    modules = [Path("/usr/lib/dovecot", name) for name in MODULES]
    absent = [str(path) for path in (Path(PROGRAM), *modules) if not path.exists()]
    return f"not installed: {', '.join(absent)} (make servers)" if absent else ""


def addresses() -> list[str]:
    """All that the server listens on; IPv6 where the machine has it."""
    four = ["127.0.0.1", STRICT, STRANGER]
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return [*four, "::1"]
    except OSError:
        return four


class Dovecot(Server):
    """All three protocols, for the people of `people.py`."""

    @classmethod
    def start(cls, certs: Certs) -> Dovecot:
        """A new server, ready to answer."""
        return cls.launched(certs, LISTENERS, _launch)

    @property
    def sasl(self) -> Path:
        """The socket on which Postfix asks whether a password is right."""
        return self.home / "sasl"

    def target(self, protocol: Protocol, tls: Tls, host: str = "127.0.0.1") -> Target:
        """Where to find one protocol in one TLS mode."""
        return Target(protocol, host, self.ports[_LISTENER[protocol, tls is Tls.IMPLICIT]], tls)


def _launch(home: Path, ports: dict[str, int]) -> list[subprocess.Popen[bytes]]:
    account = pwd.getpwnam("nobody") if is_root() else pwd.getpwuid(os.getuid())
    uid, gid = account.pw_uid, account.pw_gid
    names = {"user": account.pw_name, "group": grp.getgrgid(gid).gr_name, "uid": uid, "gid": gid}
    others = {"addresses": ", ".join(addresses()), "unwell": people.UNWELL}
    key = home / "keys" / "default" / "HS256" / "default"
    key.parent.mkdir(parents=True)
    key.write_bytes(base64.b64encode(people.TOKEN_KEY))
    (home / "users").write_text(people.passwd_file(), encoding="utf-8")
    (home / "closed").touch(mode=0)
    (home / "oauth2.conf").write_text(TOKENS.format(home=home))
    (home / "dovecot.conf").write_text(CONFIGURATION.format(home=home, **names, **others, **ports))
    home.chmod(0o711)  # Postfix, another user, must reach the socket
    if is_root():
        for path in (home, *home.rglob("*")):
            os.chown(path, uid, gid)
    as_whom = (uid, gid, ()) if is_root() else (None, None, None)
    command = [PROGRAM, "-F", "-c", str(home / "dovecot.conf")]
    relay = subprocess.Popen([sys.executable, "-I", relay_program.__file__, str(ports["relay"])])
    with (home / "console").open("wb") as console:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            user=as_whom[0],
            group=as_whom[1],
            extra_groups=as_whom[2],
        )
    return [server, relay]
