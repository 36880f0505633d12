"""Says so where another distribution has put a package of the same name into the same folder."""

import os
import sys

_SITE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OURS = "mcp-jupyter-py"


def _others() -> "list[str]":
    """The distributions beside this package that are named as it is, and are not the one that it belongs to."""
    try:
        names = os.listdir(_SITE)
    except OSError:
        return []
    return [name for name in names if name.startswith("mcp_jupyter-") and name.endswith(".dist-info")]


def _sentence(others: "list[str]") -> str:
    name, version = others[0][: -len(".dist-info")].split("-")[:2]
    other = name.replace("_", "-")
    pip = f"{sys.executable or 'python'} -m pip"
    return (
        f"the distribution {other} {version} is installed in {_SITE} beside {_OURS}, and both bring a package named "
        f"mcp_jupyter, so their files are mixed; keep one of them: {pip} uninstall {other} {_OURS}, then {pip} install "
        "the one that you want"
    )


if _found := _others():
    raise ImportError(_sentence(_found), name="mcp_jupyter")
