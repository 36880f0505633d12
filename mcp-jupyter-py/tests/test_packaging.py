"""The build backend's own work, and how the module finds the program. The wheel as a whole takes minutes to build."""

import base64
import csv
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import mcp_jupyter
import pytest
from mcp_jupyter import _program

BACKEND = Path(__file__).parents[1] / "backend" / "complete_wheel.py"


@pytest.fixture
def backend():
    spec = importlib.util.spec_from_file_location("complete_wheel", BACKEND)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_programs_are_put_into_a_wheel_and_run(backend, monkeypatch, tmp_path):
    wheel = tmp_path / "mcp_jupyter_py-0.1.0-cp39-abi3-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mcp_jupyter/__init__.py", "")
        archive.writestr("mcp_jupyter_py-0.1.0.dist-info/RECORD", "mcp_jupyter_py-0.1.0.dist-info/RECORD,,\n")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho \"$@\"\n")
    monkeypatch.setattr(backend, "LAUNCHERS", {"other-name": "serve"})
    backend.add_programs(wheel, program)

    with zipfile.ZipFile(wheel) as archive:
        record = csv.reader(archive.read("mcp_jupyter_py-0.1.0.dist-info/RECORD").decode().splitlines())
        digests = {name: digest for name, digest, _ in record}
        scripts = tmp_path / "bin"
        scripts.mkdir()
        for name in ("mcp-jupyter", "other-name"):
            entry = archive.getinfo(f"mcp_jupyter_py-0.1.0.data/scripts/{name}")
            content = archive.read(entry)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert digests[entry.filename] == f"sha256={digest}"
            (scripts / name).write_bytes(content)
            (scripts / name).chmod(entry.external_attr >> 16 & 0o777)
    (tmp_path / "link").symlink_to(scripts / "other-name")
    assert subprocess.check_output([tmp_path / "link", "a b"], text=True) == "serve a b\n"


def test_a_source_distribution_is_refused(backend, tmp_path):
    with pytest.raises(backend.UnsupportedOperation, match="pip wheel"):
        backend.build_sdist(tmp_path)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is all of the PATH, where no program is installed with the module."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_program.sysconfig, "get_path", lambda name: str(tmp_path / "nowhere"))
    monkeypatch.setattr("importlib.metadata.files", lambda name: [])
    return tmp_path


def test_the_program_is_found_or_its_lack_is_told(path):
    with pytest.raises(mcp_jupyter.NotFoundError, match="the program mcp-jupyter is not installed"):
        _program.find_program()
    program = path / "mcp-jupyter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert _program.find_program() == os.fspath(program)


def test_the_module_is_the_program(tmp_path):
    """Where it is installed without one, the one on the PATH."""
    program = tmp_path / "mcp-jupyter"
    program.write_text("#!/bin/sh\necho said \"$@\"\nexit 7\n")
    program.chmod(0o755)
    code = "import sysconfig; sysconfig.get_path = lambda name: '/nowhere'; import runpy, sys; sys.argv[1:] = ['a', 'b c'];"
    code += "import importlib.metadata as m; m.files = lambda name: []; runpy.run_module('mcp_jupyter', run_name='__main__')"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-I", "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("said a b c\n", 7)
