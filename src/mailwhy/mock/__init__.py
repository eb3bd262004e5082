"""A look-alike of Exchange Online: tenants whose closed gates speak in the signs of the handbook.

    async with mailwhy.mock.serve() as servers: ...

Never imports a probe: what the mock says must not come from what the check expects.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Servers", "Tenant", "World", "serve"]

if TYPE_CHECKING:
    from .servers import Servers, serve
    from .state import Tenant
    from .world import World

_HOMES = {"Servers": ".servers", "Tenant": ".state", "World": ".world", "serve": ".servers"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
