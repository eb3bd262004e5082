"""What the three dialogues send to sign in: SASL messages, and their prompts read. Pure; holds no state."""

from __future__ import annotations

import base64
import binascii

from ..model import Credential


def b64(text: str) -> bytes:
    """Base64 of the UTF-8 of this text."""
    return base64.b64encode(text.encode())


def message(mechanism: str, credential: Credential) -> bytes:
    """The one client message of PLAIN or XOAUTH2, in base64."""
    login, secret = credential.account.login or "", credential.secret.reveal()
    if mechanism == "XOAUTH2":
        return b64(f"user={login}\x01auth=Bearer {secret}\x01\x01")
    return b64(f"\0{login}\0{secret}")


def prompt(text: str) -> str | None:
    """What a server's challenge says, decoded; None where it is not base64 of text."""
    try:
        return base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def asks_for_password(words: str | None) -> bool:
    """The prompt is for the password. Nothing else may be answered with it."""
    return words is not None and words.strip().casefold().startswith("pass")


def asks_for_user(words: str | None) -> bool:
    """The prompt is for the user name ("Username:", "User Name", "Login:")."""
    return words is not None and words.strip().casefold().startswith(("user", "login"))
