"""Notebooks as tests: `pytest --mcp-jupyter notebooks/`.

pytest imports this at every start, so it is a package of its own that imports nothing until notebooks are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options, all of which begin with ``--mcp-jupyter``."""
    group = parser.getgroup("mcp-jupyter", "Jupyter notebooks as tests")
    add = group.addoption
    add(
        "--mcp-jupyter",
        action="store_true",
        help="collect notebooks (*.ipynb): run them, and compare their outputs with those that are stored in them",
    )
    add("--mcp-jupyter-cells", action="store_true", help="every code cell is a test of its own, not the whole notebook")
    add(
        "--mcp-jupyter-lax",
        action="store_true",
        help="collect notebooks, and compare only the outputs of cells that are marked NBVAL_CHECK_OUTPUT",
    )
    add(
        "--mcp-jupyter-rtol",
        type=float,
        default=0.0,
        metavar="X",
        help="numbers with a fraction or an exponent may differ by X times the larger one",
    )
    add(
        "--mcp-jupyter-atol",
        type=float,
        default=0.0,
        metavar="X",
        help="numbers with a fraction or an exponent may differ by X",
    )
    add(
        "--mcp-jupyter-sanitize-with",
        action="append",
        default=[],
        metavar="FILE",
        help="replace what matches the regular expressions in FILE before outputs are compared; nbval's format: lines "
        "`regex: …`, each followed by a line `replace: …`",
    )
    add(
        "--mcp-jupyter-timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long a cell may take, where the notebook's metadata execution.timeout do not say; 0: no limit (default: 300)",
    )
    add(
        "--mcp-jupyter-startup-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long a kernel may take to start (default: 60)",
    )
    add(
        "--mcp-jupyter-kernel",
        metavar="NAME",
        help="run on this kernel, not on the one that a notebook names or on the running Python",
    )
    add(
        "--mcp-jupyter-overwrite",
        action="store_true",
        help="write the new outputs into the notebooks instead of comparing them",
    )
    add(
        "--mcp-jupyter-import-errors",
        action="store_true",
        help="run all cells, and fail only where something cannot be imported",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Brings the rest in where notebooks are to be collected."""
    if config.getoption("--mcp-jupyter") or config.getoption("--mcp-jupyter-lax"):
        from mcp_jupyter._testing.plugin import NotebookPlugin

        config.pluginmanager.register(NotebookPlugin(config), "mcp-jupyter-notebooks")
