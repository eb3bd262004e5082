"""Build hook: puts the data files of the handbook into the wheel as one file, in place of the TOML files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOME = "src/mailwhy/knowledge"


class Handbook(BuildHookInterface):  # type: ignore[type-arg]  # generic only for the type checker
    """Called by hatchling for the wheel (pyproject.toml, `tool.hatch.build.targets.wheel.hooks.custom`)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes the file aside and has it put into the wheel. An editable install reads the TOML files."""
        if version == "editable":
            return
        home = Path(self.root, HOME)
        files = _files(home)
        made = Path(self.directory, files.SHIPPED)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(files.compiled(files.gathered(home)), encoding="utf-8")
        build_data["force_include"][str(made)] = f"mailwhy/knowledge/{files.SHIPPED}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Takes the file away again."""
        for made in build_data["force_include"]:
            Path(made).unlink(missing_ok=True)


def _files(home: Path) -> Any:
    """`mailwhy.knowledge.files`, without the package: its dependencies are not there yet."""
    spec = importlib.util.spec_from_file_location("files", home / "files.py")
    if spec is None or spec.loader is None:
        raise ImportError(home / "files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
