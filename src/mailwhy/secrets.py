"""Where a secret comes from, and what is odd about its shape. Never from an argument, never shown, never changed.

    prompt | standard input | file | command | environment | keyring  --read-->  Taken(secret, warnings)
    shape(secret)  facts such as `secret.shape=spaces`       remarks(shape)  the same in plain sentences

One final line end of standard input, a file and a command is the line's; everything else is kept and reported.
A source that gives no usable secret raises `NoSecretError`, whose message names the mend and never holds what was read.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import sys
import threading
import unicodedata
import warnings
from collections.abc import Mapping, Sequence

from .model import Kind, Secret
from .noun import dataclass

LIMIT = 65536  # bytes; the longest access token seen is a few thousand
COMMAND_SECONDS = 120.0  # long enough to unlock a password store by hand
VARIABLES: Mapping[Kind, str] = {Kind.PASSWORD: "MAILWHY_PASSWORD", Kind.OAUTH: "MAILWHY_TOKEN"}
ELSEWHERE = "--password-stdin, --password-file, --password-command, --keyring or the variable MAILWHY_PASSWORD"


class NoSecretError(Exception):
    """No usable secret came from the source. The message is safe to show: it never holds what was read."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A secret, where it came from (in words), and what should be said about that place."""

    secret: Secret
    source: str
    warnings: tuple[str, ...] = ()


def from_prompt(question: str) -> Taken:
    """Asks on the terminal without echo. Raises NoSecretError where nobody can answer, rather than wait for ever."""
    if reason := _nobody_there():
        raise NoSecretError(f"there is no way to ask for it: {reason}. Give it with {ELSEWHERE}.")
    import getpass

    try:
        with warnings.catch_warnings():
            # getpass would go on with the echo on; a secret on the screen is worse than no answer
            warnings.simplefilter("error", getpass.GetPassWarning)
            value = getpass.getpass(question)
    except getpass.GetPassWarning:
        raise NoSecretError(f"this terminal cannot hide what is typed. Give it with {ELSEWHERE}.") from None
    except EOFError:
        raise NoSecretError("nothing was entered") from None
    except UnicodeDecodeError:
        raise NoSecretError("what was entered is not text in the terminal's encoding") from None
    return Taken(_usable(value, "the prompt"), "the prompt")


def _nobody_there() -> str:
    """Why a prompt could not be answered, or ""."""
    try:
        terminal = os.open("CONIN$" if os.name == "nt" else "/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0))
    except OSError:
        return "" if sys.stdin and sys.stdin.isatty() else "there is no terminal"
    try:
        # asking from the background would stop the process without a word
        if hasattr(os, "tcgetpgrp") and os.tcgetpgrp(terminal) != os.getpgrp():
            return "this runs in the background of its terminal"
    except OSError:
        return "there is no terminal"
    finally:
        os.close(terminal)
    return ""


def from_stdin() -> Taken:
    """All of standard input. Refused on a terminal, where it would be typed in sight."""
    if sys.stdin is None or sys.stdin.closed:
        raise NoSecretError("--password-stdin: standard input is closed")
    if sys.stdin.isatty():
        raise NoSecretError(
            "--password-stdin: standard input is a terminal, what is typed would be seen. "
            "Leave the option out for a hidden prompt."
        )
    raw = sys.stdin.buffer.read(LIMIT + 1)
    return Taken(_line(raw, "standard input"), "standard input")


def from_file(path: str | os.PathLike[str]) -> Taken:
    """The content of a file (or named pipe). Warns when others may read it."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(LIMIT + 1)
    except OSError as why:
        raise NoSecretError(f"the password file {path} cannot be read: {why.strerror}") from None
    said = f"the password file {path}"
    return Taken(_line(raw, said), said, _open_to_others(path, mode))


def _open_to_others(path: str | os.PathLike[str], mode: int) -> tuple[str, ...]:
    if os.name == "nt" or not stat.S_ISREG(mode) or not mode & 0o077:
        return ()
    return (f"Others on this machine may read or change {path} (mode {stat.S_IMODE(mode):04o}); chmod 600 mends it.",)


def open_to_others(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """What is to be said when others may read `path`, which holds secrets. Raises OSError."""
    return _open_to_others(path, os.stat(path).st_mode)


def from_command(command: str) -> Taken:
    """What a command prints, run without a shell; its standard error passes through.

    Raises NoSecretError when it cannot be run, fails, prints too much or takes longer than COMMAND_SECONDS. Neither
    the command nor its output is ever quoted: people put passwords in both.
    """
    import shlex

    said = "the password command"
    try:
        # on Windows the system splits the line, and backslashes are part of paths
        words: Sequence[str] | str = command if os.name == "nt" else shlex.split(command)
    except ValueError as why:
        raise NoSecretError(f"{said} cannot be split into words: {str(why).lower()}") from None
    if not words:
        raise NoSecretError(f"{said} is empty")
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES.values()}
    try:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)  # noqa: S603 - the words are the user's own, and no shell reads them
    except FileNotFoundError:
        raise NoSecretError(f"{said}: no such program (it is run without a shell)") from None
    except (OSError, ValueError):
        raise NoSecretError(f"{said} cannot be run") from None
    raw = _output(child, said)
    return Taken(_line(raw, said), said)


def _output(child: subprocess.Popen[bytes], said: str) -> bytes:
    """What the child prints, up to LIMIT + 1 bytes; a thread reads, because a grandchild may keep the pipe open."""
    parts: list[bytes] = []

    def read() -> None:
        if child.stdout:
            with child.stdout:
                parts.append(child.stdout.read(LIMIT + 1))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        reader.join(COMMAND_SECONDS)
        if reader.is_alive():
            raise NoSecretError(f"{said} did not end within {COMMAND_SECONDS:.0f} s")
        if parts and len(parts[0]) <= LIMIT:
            status = child.wait(COMMAND_SECONDS)
            if status != 0:
                raise NoSecretError(f"{said} failed (exit status {status}); its output was not used")
    except subprocess.TimeoutExpired:
        raise NoSecretError(f"{said} did not end within {COMMAND_SECONDS:.0f} s") from None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return parts[0] if parts else b""


class Environment:
    """Secrets in environment variables: taken out of this process's environment when first read, then remembered."""

    def __init__(self) -> None:
        self._taken: dict[str, Secret] = {}

    def claim(self, *names: str) -> None:
        """Takes these variables out, so that no child sees them."""
        for name in names:
            value = os.environ.pop(name, None)
            if value is not None:
                self._taken[name] = Secret(value)

    def has(self, name: str) -> bool:
        """Whether the variable was set when it was claimed."""
        return name in self._taken

    def read(self, name: str) -> Taken:
        """The variable's value, as it is: a line end in it was put there. Raises NoSecretError when it is not set."""
        self.claim(name)
        if name not in self._taken:
            raise NoSecretError(f"the variable {name} is not set")
        return Taken(_usable(self._taken[name].reveal(), f"the variable {name}"), f"the variable {name}")


def from_keyring(service: str, login: str) -> Taken:
    """The entry of the system's keyring for `login` under `service`."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise NoSecretError("the keyring needs an optional part: pip install 'mailwhy[keyring]'") from None
    try:
        value = keyring.get_password(service, login)
    except keyring.errors.NoKeyringError:
        raise NoSecretError("this system has no keyring that could be used") from None
    except Exception as why:  # backends raise what they like (D-Bus, ctypes, ...), and may quote what they read
        raise NoSecretError(f"the keyring did not answer ({type(why).__name__})") from None
    if value is None:
        raise NoSecretError(f"the keyring has no entry for {login} under the service {service!r}")
    return Taken(_usable(str(value), "the keyring"), f"the keyring (service {service!r})")


def _line(raw: bytes, said: str) -> Secret:
    """A line of bytes as a secret: exactly one final line end is the line's."""
    if len(raw) > LIMIT:
        raise NoSecretError(f"{said} gives more than {LIMIT // 1024} KiB: that is not a password")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NoSecretError(
            f"{said} is UTF-16 (PowerShell's > writes that); save it as UTF-8 without a byte order mark"
        )
    with contextlib.suppress(UnicodeDecodeError):
        text = raw.decode("utf-8")
        return _usable(text[: -2 if text.endswith("\r\n") else -1 if text.endswith("\n") else None], said)
    raise NoSecretError(f"{said} is not UTF-8 text")


def _usable(value: str, said: str) -> Secret:
    if not value:
        raise NoSecretError(f"{said} is empty")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise NoSecretError(f"{said} holds bytes that are not text")
    return Secret(value)


# --- the shape ---------------------------------------------------------------------------------------------

_STRAIGHT = "\"'`"
_SMART = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"
_JWT = r"(?:Bearer )?eyJ[\w-]+\.[\w-]+\.[\w-]*"
_LONG = 200  # characters from which on it is a token, not a password
_APP_PASSWORD = re.compile(r"[a-z]{16}", re.ASCII)
_PREFIX = "secret.shape="


def shape(secret: Secret, kind: Kind = Kind.PASSWORD) -> frozenset[str]:
    """What is notable about the secret, as facts `secret.shape=...`; never its value.

    app_password is only the form seen in the field (16 lower-case letters, blanks aside): Microsoft documents none.
    """
    value = secret.reveal()
    bare = value.strip("\ufeff\r\n")
    words = {
        "line_end": "\n" in value or "\r" in value,
        "bom": "\ufeff" in value,
        "edge_space": bare != bare.strip(),
        "spaces": any(sign.isspace() and sign not in "\r\n" for sign in bare.strip()),
        "quotes": _quoted(bare.strip()),
        "non_ascii": any(sign > "\x7f" and sign != "\ufeff" for sign in value),
        "control": any(unicodedata.category(sign) == "Cc" and sign not in "\r\n" for sign in value),
    }
    core = _without_blanks(value).strip(_STRAIGHT + _SMART)
    token = len(core) >= _LONG or ("eyJ" in bare and bool(re.fullmatch(_JWT, bare.strip(), re.ASCII)))
    words["token"] = token
    if kind is Kind.PASSWORD and not token:
        words["app_password"] = bool(_APP_PASSWORD.fullmatch(core))
        words["not_app_password"] = not words["app_password"]
    return frozenset(_PREFIX + word for word, holds in words.items() if holds)


def _quoted(value: str) -> bool:
    if len(value) < 2:
        return False
    return (value[0] == value[-1] and value[0] in _STRAIGHT) or value[0] in _SMART or value[-1] in _SMART


def _without_blanks(value: str) -> str:
    return "".join(sign for sign in value if not sign.isspace() and sign not in "\ufeff\u200b")


def without_spaces(secret: Secret) -> Secret:
    """The secret without blanks, line ends and byte order marks: only ever done on request."""
    return _usable(_without_blanks(secret.reveal()), "the secret without its spaces")


_REMARKS: tuple[tuple[str, str], ...] = (
    ("line_end", "has a line end in it"),
    ("bom", "has a byte order mark in it (an editor or PowerShell put it there; it cannot be seen)"),
    ("edge_space", "begins or ends with a blank"),
    ("spaces", "has blanks inside (some sites show app passwords in groups; guides for Microsoft 365 write none)"),
    ("quotes", "stands in quotation marks, or a word processor's quotation mark is at its end"),
    ("non_ascii", "has characters beyond ASCII; many programs send them in another encoding than UTF-8"),
    ("control", "has control characters in it"),
)


def remarks(facts: frozenset[str], kind: Kind = Kind.PASSWORD) -> list[str]:
    """What to say about the shape before anything is sent, as plain sentences. Empty when nothing is odd."""
    noun = "password" if kind is Kind.PASSWORD else "token"
    found = [words for name, words in _REMARKS if _PREFIX + name in facts]
    said = [f"The {noun} {words}." for words in found]
    if found:
        said.append("It is sent exactly as it is.")
    if facts & {_PREFIX + name for name in ("line_end", "bom", "edge_space", "spaces")}:
        said.append("--strip-spaces takes blanks, line ends and byte order marks out.")
    if kind is Kind.PASSWORD and _PREFIX + "token" in facts:
        said.append("It looks like an access token, not like a password: --credential oauth signs in with a token.")
    if kind is Kind.OAUTH and _PREFIX + "token" not in facts:
        said.append("It does not look like an access token: leave --credential oauth out for a password.")
    if _PREFIX + "not_app_password" in facts:
        said.append(
            "It does not look like an app password (those seen are 16 lower-case letters; Microsoft documents no "
            "form). The account's own password is refused where multi-factor sign-in is asked for."
        )
    return said
