"""mailwhy: why does this app password not open the mailbox?

    outcome = await mailwhy.check("user@contoso.com", mailwhy.Secret("..."))
    outcome = mailwhy.explain("535 5.7.139 Authentication unsuccessful, ...")

Both give an `Outcome`: verdict, ranked findings, evidence. The names below are imported when first used,
because `--version`, `--help` and `explain` must not pay for asyncio and ssl.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Outcome", "Secret", "__version__", "check", "explain", "mock"]

TYPE_CHECKING = False  # typing's own would make this import twice as long
if TYPE_CHECKING:
    from typing import Any

    from . import mock
    from .checking import check
    from .model import Outcome, Secret
    from .run import explain

_HOMES = {"Outcome": ".model", "Secret": ".model", "check": ".checking", "explain": ".run"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "mock":
        return import_module(".mock", __name__)
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
