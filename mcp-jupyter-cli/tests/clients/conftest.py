"""A folder with a server that clients are connected to."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("MCP_JUPYTER_TEST_PROGRAM", str(ROOT / "target/debug/mcp-jupyter"))
KERNEL_PYTHON = os.environ.get("MCP_JUPYTER_TEST_PYTHON", str(ROOT / ".venv/bin/python"))


@dataclass
class Lab:
    """A root for notebooks, and nothing of the user's environment."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "PATH": "/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "MCP_JUPYTER_STATE_DIR": str(self.folder / "state"),
        }

    def arguments(self, *more: str) -> list[str]:
        return ["serve", "--root", str(self.root), "--python", KERNEL_PYTHON, *more]

    def run(self, *arguments: str) -> str:
        command = [PROGRAM, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def stop_kernels(self) -> None:
        for session in json.loads(self.run("sessions", "list", "--json")):
            self.run("stop", session["id"])


@dataclass
class Listening:
    """A server that listens to HTTP."""

    url: str
    token: str


@pytest.fixture
def lab() -> Iterator[Lab]:
    # The names of sockets have to be short.
    lab = Lab(Path(tempfile.mkdtemp(prefix="mcp", dir="/tmp")))
    for folder in ["root", "run"]:
        (lab.folder / folder).mkdir()
    yield lab
    lab.stop_kernels()
    shutil.rmtree(lab.folder)


@pytest.fixture
def listen(lab: Lab) -> Iterator:
    """Starts servers that listen, and ends them."""
    started = []

    def start(*more: str) -> Listening:
        command = [PROGRAM, *lab.arguments("--http", "127.0.0.1:0", *more)]
        server = subprocess.Popen(command, env=lab.environment, stderr=subprocess.PIPE, text=True)
        started.append(server)
        words = server.stderr.readline().split()
        assert words[:2] == ["listening", "on"], words
        return Listening(words[2], words[-1])

    yield start
    for server in started:
        server.terminate()
        # What it has logged.
        server.stderr.read()
        assert server.wait() == 143
