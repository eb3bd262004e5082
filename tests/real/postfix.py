"""Postfix 3.7 on loopback: submission in all TLS modes, passwords and tokens judged by a running Dovecot.

Needs root (Postfix insists on its own users and on owning its queue), but no configuration of the machine: everything
is in a folder of its own. Nothing is ever delivered: the transport is `discard`.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from real.certs import Certs
from real.dovecot import Dovecot
from real.process import Server, is_root

from mailwhy.model import Protocol, Target, Tls

MASTER = "/usr/lib/postfix/sbin/master"
LISTENERS = ("clear", "submission", "submissions")

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = postfix.test
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_transport = discard
relay_transport = discard
local_transport = discard
alias_maps =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_tls_chain_files = {key}, {chain}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_security_options = noanonymous
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
"""

# `submission` offers AUTH after STARTTLS only, as most do; `clear` offers it at once, for tests of TLS mode `none`.
SERVICES = """
127.0.0.1:{clear} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_tls_auth_only=yes
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
"""


def missing() -> str:
    """Why Postfix cannot run here, as words for a skip; "" when it can."""
    if not Path(MASTER).exists():
        return f"not installed: {MASTER} (make servers)"
    return "" if is_root() else "Postfix starts only as root"


class Postfix(Server):
    """Submission only; it asks `Dovecot.sasl`, so the same people may sign in."""

    @classmethod
    def start(cls, certs: Certs, dovecot: Dovecot) -> Postfix:
        """A new server, ready to answer; `dovecot` must outlive it."""
        return cls.launched(certs, LISTENERS, functools.partial(_launch, certs, dovecot.sasl))

    def target(self, protocol: Protocol, tls: Tls, host: str = "127.0.0.1") -> Target:
        """Where to find submission in one TLS mode; Postfix speaks nothing else."""
        assert protocol is Protocol.SMTP
        listener = {Tls.NONE: "clear", Tls.STARTTLS: "submission", Tls.IMPLICIT: "submissions"}[tls]
        return Target(protocol, host, self.ports[listener], tls)


def _launch(certs: Certs, sasl: Path, home: Path, ports: dict[str, int]) -> list[subprocess.Popen[bytes]]:
    home.chmod(0o755)
    (home / "queue").mkdir()
    (home / "data").mkdir()
    shutil.chown(home / "data", "postfix")
    files = {"key": home / certs.key.name, "chain": home / certs.chain.name, "sasl": sasl}
    (home / "main.cf").write_text(MAIN.format(home=home, **files))
    (home / "master.cf").write_text(SERVICES.format(**ports))
    with (home / "console").open("wb") as console:
        subprocess.run(["/usr/sbin/postfix", "-c", str(home), "check"], stdout=console, stderr=console, check=False)
        server = subprocess.Popen(
            [MASTER, "-c", str(home), "-d"], stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
    return [server]
