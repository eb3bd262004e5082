"""Searches anything that was written for a secret, in every form in which one may be written down.

Written without looking at redact.py: the two check each other.
"""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from torture.figures import count

CANARIES: dict[str, str] = {
    "app password": "qzvkxwjhbtrnmpdf",
    "quotes and backslashes": "q\"z'v\\k%x=w;j",
    "blanks": "qzvk xwjh btrn mpdf",
    "non-ASCII": "q\u00fczvk\u00e9\u00df\u2713w\u0416jh",
    "long": "Qz7" + "".join(chr(97 + n * n % 23) + str(n % 7) for n in range(150)),
}
LOGIN = "canary@contoso.test"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _aligned(data: bytes, skip: int) -> str:
    """The part of base64 that depends on this data alone, when `skip` bytes stand before it."""
    text = _b64(b"\0" * skip + data)
    start = -(-skip * 4 // 3)
    return text[start : len(text) - (1 if (skip + len(data)) % 3 else 0)]


def forms(secret: str, login: str = LOGIN) -> Iterator[tuple[str, bytes]]:
    """The name of each form, and how a server could write it."""
    raw = secret.encode()
    yield "raw", raw
    yield "upper case", secret.upper().encode()
    yield "lower case", secret.lower().encode()
    yield "without blanks", "".join(secret.split()).encode()
    yield "latin-1", secret.encode("latin-1", "replace")
    yield "escaped", secret.replace("\\", "\\\\").replace('"', '\\"').encode()
    yield "JSON", json.dumps(secret)[1:-1].encode()
    yield "HTML", html.escape(secret).encode()
    yield "AUTH PLAIN", _b64(f"\0{login}\0{secret}".encode()).encode()
    yield "XOAUTH2", _b64(f"user={login}\1auth=Bearer {secret}\1\1".encode()).encode()
    for skip in range(3):
        yield f"base64, {skip} bytes in", _aligned(raw, skip).encode()
    for coding in ("utf-16-le", "utf-16-be"):
        yield coding, secret.encode(coding)
        yield f"base64 of {coding}", _b64(secret.encode(coding)).encode()
    yield "urlsafe base64", base64.urlsafe_b64encode(raw).rstrip(b"=")
    yield "percent", quote(secret, safe="").encode()
    yield "form", quote_plus(secret).encode()
    yield "all percent", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "quoted-printable", quopri.encodestring(raw, quotetabs=True).replace(b"=\n", b"").rstrip(b"\n")
    yield "hex", raw.hex().encode()
    yield "HEX with colons", raw.hex(":").upper().encode()
    yield "backslash x", "".join(f"\\x{byte:02x}" for byte in raw).encode()


def shown(form: bytes) -> str:
    """The form as a careful program would show these bytes."""
    try:
        text = form.decode()
    except UnicodeDecodeError:
        text = form.decode("latin-1")
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found.group()):02x}", text)


_PREFIX = re.compile(rb"[\r\n]+(?:[ \t|>#*]|<-|\d{3}[- ]|\* OK|\+OK|-ERR)*")


def leaks(data: bytes, secret: str, login: str = LOGIN) -> list[str]:
    """The forms that stand in this data, also broken over lines."""
    found = []
    texts = [data.lower(), _PREFIX.sub(b"", data).lower(), re.sub(rb"\s+", b"", data).lower()]
    all_forms = list(forms(secret, login))
    count("canaries searched for (form x text)", len(all_forms))
    for name, form in all_forms:
        wanted = {form, shown(form).encode(), json.dumps(shown(form))[1:-1].encode(), html.escape(shown(form)).encode()}
        wanted |= {re.sub(rb"\s+", b"", each) for each in wanted}
        if any(each.lower() in text for each in wanted if len(each) > 5 for text in texts):
            found.append(name)
    return found


def leaks_in_files(folder: Path, secret: str, spare: frozenset[str] = frozenset()) -> list[str]:
    """`file: form` for every file below the folder, by content and by name; `spare`: names of our own."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.name in spare:
            continue
        found += [f"name of {path}: {form}" for form in leaks(path.name.encode(), secret)]
        if path.is_file():
            found += [f"{path}: {form}" for form in leaks(path.read_bytes(), secret)]
    return found
