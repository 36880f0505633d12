"""The module as a whole: what it exports and what its exceptions are."""

import re
import tomllib
from pathlib import Path

import mcp_jupyter
import pytest

ROOT = Path(__file__).parents[2]


def test_everything_public_is_documented_and_named():
    for name in mcp_jupyter.__all__:
        value = getattr(mcp_jupyter, name)
        if callable(value):
            assert value.__doc__, name
            assert value.__module__.startswith("mcp_jupyter"), name


def test_the_version_is_that_of_the_workspace():
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert mcp_jupyter.__version__ == manifest["workspace"]["package"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", mcp_jupyter.__version__)


@pytest.mark.parametrize(
    ("exception", "builtin"),
    [
        (mcp_jupyter.NotFoundError, LookupError),
        (mcp_jupyter.InvalidRequestError, ValueError),
        (mcp_jupyter.CorruptError, ValueError),
        (mcp_jupyter.KernelStartError, RuntimeError),
        (mcp_jupyter.KernelDiedError, RuntimeError),
        (mcp_jupyter.TimedOutError, TimeoutError),
        (mcp_jupyter.UnsupportedError, NotImplementedError),
        (mcp_jupyter.SystemCallError, OSError),
        (mcp_jupyter.UnavailableError, RuntimeError),
        (mcp_jupyter.ConflictError, RuntimeError),
    ],
)
def test_an_exception_is_ours_and_pythons(exception, builtin):
    error = exception("why")
    assert isinstance(error, mcp_jupyter.Error)
    assert isinstance(error, builtin)
    assert str(error) == "why"
