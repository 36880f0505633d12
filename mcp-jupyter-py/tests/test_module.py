"""The module as a whole: what it exports and what its exceptions are."""

import re
import shutil
import subprocess
import sys
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
        (mcp_jupyter.CellExecutionError, RuntimeError),
    ],
)
def test_an_exception_is_ours_and_pythons(exception, builtin):
    error = exception("why")
    assert isinstance(error, mcp_jupyter.Error)
    assert isinstance(error, builtin)
    assert str(error) == "why"


def test_another_package_of_the_same_name_is_told(tmp_path):
    """Its files and ours would be mixed."""
    shutil.copytree(Path(mcp_jupyter.__file__).parent, tmp_path / "mcp_jupyter")
    program = "import sys; sys.path.insert(0, sys.argv[1]); import mcp_jupyter; print(mcp_jupyter.__file__)"

    def importing():
        command = [sys.executable, "-I", "-c", program, tmp_path]
        return subprocess.run(command, capture_output=True, text=True)

    (tmp_path / "mcp_jupyter_py-0.1.0.dist-info").mkdir()
    assert importing().stdout.strip() == str(tmp_path / "mcp_jupyter" / "__init__.py")
    (tmp_path / "mcp_jupyter-2.3.dist-info").mkdir()
    said = importing().stderr.splitlines()[-1]
    assert said.startswith(f"ImportError: the distribution mcp-jupyter 2.3 is installed in {tmp_path} beside mcp-jupyter-py")
    assert "uninstall mcp-jupyter mcp-jupyter-py" in said


SUB_INTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
attempt = "try: import mcp_jupyter\\nexcept ImportError as error: print(error, flush=True)"
if hasattr(interpreters, "exec"):
    interpreters.exec(interpreters.create("legacy"), attempt)
else:
    interpreters.run_string(interpreters.create(), attempt)
import mcp_jupyter
print(len(mcp_jupyter.kernelspecs()) >= 0)
"""


def test_sub_interpreters_are_refused_and_the_main_one_is_not():
    command = [sys.executable, "-I", "-c", SUB_INTERPRETER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    refused, served = done.stdout.splitlines()
    assert refused.startswith("mcp_jupyter cannot be used in a sub-interpreter; import it in the main one")
    assert (served, done.stderr) == ("True", "")
