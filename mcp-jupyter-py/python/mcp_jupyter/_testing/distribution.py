"""Which of pytest-xdist's workers gets which tests."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-not-found, import-untyped, unused-ignore]

__all__ = ["by_notebook"]


class _ByNotebook(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """The cells of a notebook together, every other test by itself."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        return path if path.endswith(".ipynb") else nodeid


def by_notebook(config: Any, log: Any) -> Any:
    """A scheduler that keeps the cells of a notebook together."""
    return _ByNotebook(config, log)
