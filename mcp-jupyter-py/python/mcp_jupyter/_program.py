"""Where the program is that was installed with this module."""

from __future__ import annotations

import os
import sysconfig
from typing import Iterator

from .exceptions import NotFoundError

NAME = "mcp-jupyter"


def find_program() -> str:
    """The path of the native program `mcp-jupyter`.

    Raises
    ------
    NotFoundError
        Where the module was installed without it.
    """
    for path in _candidates():
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return os.path.abspath(path)
    raise NotFoundError(
        f"the program {NAME} is not installed with this module; a wheel has it (pip install mcp-jupyter-py), and "
        "`cargo install --path mcp-jupyter-cli` puts it on the PATH"
    )


def _candidates() -> Iterator[str]:
    from importlib.metadata import PackageNotFoundError, files
    from shutil import which

    try:
        installed = files("mcp-jupyter-py") or []
    except PackageNotFoundError:
        installed = []
    yield from (str(file.locate()) for file in installed if file.name == NAME)
    # `pip install --target` moves the scripts and does not say so.
    site = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    yield os.path.join(site, "bin", NAME)
    yield os.path.join(sysconfig.get_path("scripts"), NAME)
    if found := which(NAME):
        yield found
