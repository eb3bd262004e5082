"""Who may sign in to the test servers, with which secret. Made up; nothing here opens anything elsewhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

DOMAIN = "contoso.test"
TOKEN_KEY = b"a key that only the tests know, 32 bytes and more"

# Each name says what is awkward about its password. A control character is missing on purpose: no protocol carries it.
PASSWORDS: dict[str, str] = {
    "app": "abcdefghijklmnop",
    "quotes": "say \"hi\" and 'bye'",
    "backslash": "back\\slash\\",
    "spaces": " two  spaces ",
    "non-ascii": "pässwörd-✓-пароль",
    "percent": "100%d%%u%",
    "braces": "{5+}{PLAIN}x",
    "colon": "a:b:c#d;e=f,g",
    "long": "0123456789abcdef" * 12,
}
SHUT_OFF = f"shut-off@{DOMAIN}"
UNWELL = f"unwell@{DOMAIN}"  # the server cannot look the user up just now
BROKEN = f"broken@{DOMAIN}"  # the server lets the user in and then fails: it closes without a word
USERS: dict[str, str] = {f"{name}@{DOMAIN}": password for name, password in PASSWORDS.items()}


def token(login: str, *, key: bytes = TOKEN_KEY, lifetime: float = 3600.0) -> str:
    """A signed access token for `login`; `lifetime` in seconds, below zero for one that has expired."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    head = {"alg": "HS256", "typ": "JWT", "kid": "default"}
    body = {"azp": "default", "sub": login, "iat": now - 60, "nbf": now - 60, "exp": now + int(lifetime)}
    signed = part(json.dumps(head).encode()) + b"." + part(json.dumps(body).encode())
    return (signed + b"." + part(hmac.digest(key, signed, hashlib.sha256))).decode()


def passwd_file() -> str:
    """Dovecot's passwd-file. Base64, so that no character of a password means anything to it."""
    lines = [f"{login}:{_plain(password)}::::::" for login, password in USERS.items()]
    lines.append(f"{SHUT_OFF}:{_plain('right')}::::::nologin=y reason=Closed")
    lines.append(f"{BROKEN}:{_plain('right')}::::::userdb_tempfail=y")
    return "\n".join(lines) + "\n"


def _plain(password: str) -> str:
    return "{PLAIN.B64}" + base64.b64encode(password.encode()).decode()
