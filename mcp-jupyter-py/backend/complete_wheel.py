"""The build backend: maturin's wheel of the module, and the programs beside it.

maturin builds a module or programs, not both. So it builds the module here, cargo the program, and this puts the program
into the wheel as script data, which installers put on the PATH as it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import maturin
from maturin import (
    get_requires_for_build_editable,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parents[2]

EXECUTABLE = "mcp-jupyter"
"""The one program, which does the work of all."""

LAUNCHERS: dict[str, str] = {
    "mcp-server-jupyter": "serve",
    "mcp-scheduler-service": "scheduler serve",
    "mcp-asset-service": "assets serve",
}
"""Names for it, with the arguments that each stands for."""

LAUNCHER = """\
#!/bin/sh
exec "$(dirname -- "$(readlink -f -- "$0")")/{executable}" {arguments} "$@"
"""


class UnsupportedOperation(Exception):
    """What frontends take for "this backend does not do that"."""


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """The wheel with the module and the programs."""
    name = maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_programs(Path(wheel_directory, name))
    return name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """The wheel that refers to the sources of the module, with the programs."""
    name = maturin.build_editable(wheel_directory, config_settings, metadata_directory)
    add_programs(Path(wheel_directory, name))
    return name


def build_sdist(sdist_directory, config_settings=None):
    """Refused: the programs are another crate of the repository, which a source distribution of this one lacks."""
    raise UnsupportedOperation("there is no source distribution; build a wheel from the repository: pip wheel ./mcp-jupyter-py")


def add_programs(wheel: Path, executable: Path | None = None) -> None:
    """Puts the programs into a wheel."""
    executable = executable or build_executable()
    scripts = {EXECUTABLE: executable.read_bytes()}
    for name, arguments in LAUNCHERS.items():
        scripts[name] = LAUNCHER.format(executable=EXECUTABLE, arguments=arguments).encode()
    distribution = "-".join(wheel.name.split("-")[:2])
    add_files(wheel, {f"{distribution}.data/scripts/{name}": content for name, content in scripts.items()})


def build_executable() -> Path:
    """Builds the program, optimized, and says where it is."""
    command = ["cargo", "build", "--release", "--locked", "--package", "mcp-jupyter-cli", "--bin", EXECUTABLE]
    command += ["--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True, text=True)
    messages = (json.loads(line) for line in built.stdout.splitlines() if line.startswith("{"))
    made = [message["executable"] for message in messages if message.get("executable")]
    return Path(made[-1])


def environment() -> dict[str, str]:
    """Frontends lead `python` to an environment that is gone later; nothing of ours is built for it."""
    return {name: value for name, value in os.environ.items() if not re.match(r"PYO3_|PYTHON", name)}


def add_files(wheel: Path, files: dict[str, bytes]) -> None:
    """Adds executable files to a wheel, and to its record."""
    rewritten = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                record = entry, content
            else:
                new.writestr(entry, content)
        for name, content in files.items():
            new.writestr(executable_entry(name), content, compresslevel=9)
        entry, content = record
        new.writestr(entry, content + "".join(map(recorded, files, files.values())).encode())
    rewritten.replace(wheel)


def executable_entry(name: str) -> zipfile.ZipInfo:
    """A fixed time makes the same files the same wheel."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def recorded(name: str, content: bytes) -> str:
    """The line of a wheel's RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"
