"""kernelspecs() and kernelspec(), beside jupyter_client in the same interpreter."""

import json
import math
import os
import sys
from pathlib import Path

import mcp_jupyter
import pytest
from jupyter_client.kernelspec import KernelSpecManager


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a kernelspec that this interpreter finds."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    def install(name, **fields):
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(fields))
        return folder

    return install


# traitlets says so of every field of kernel.json that jupyter_client does not know.
@pytest.mark.filterwarnings("ignore:Passing unrecognized arguments:DeprecationWarning")
def test_the_same_kernelspecs_are_found_as_by_jupyter_client():
    expected = KernelSpecManager().get_all_specs()
    found = mcp_jupyter.kernelspecs()
    assert list(found) == sorted(expected)
    for name, entry in expected.items():
        spec = found[name]
        assert spec.name == name
        assert str(spec.resource_dir) == entry["resource_dir"]
        for field in ("display_name", "language", "env", "interrupt_mode", "metadata"):
            assert getattr(spec, field) == entry["spec"][field]
        assert spec.argv[1:] == entry["spec"]["argv"][1:]


def test_python_in_a_command_is_this_interpreter():
    assert mcp_jupyter.kernelspec("python3").argv[0] == os.path.abspath(sys.executable)


def test_every_field_is_a_python_value(install):
    metadata = {"big": 10**30, "nan": math.nan, "list": [1.5, None, True, {"a": "ü"}]}
    folder = install("Odd", argv=["odd"], display_name="Ü", language="l", interrupt_mode="message",
                     env={"A": "${B}"}, metadata=metadata)
    spec = mcp_jupyter.kernelspec("odd")
    found = spec.metadata
    assert (spec.name, spec.display_name, spec.language) == ("odd", "Ü", "l")
    assert spec.argv == ["odd"]
    assert spec.env == {"A": "${B}"}
    assert spec.interrupt_mode == "message"
    assert isinstance(spec.resource_dir, Path)
    assert spec.resource_dir == folder
    assert math.isnan(found.pop("nan"))
    assert found == {"big": metadata["big"], "list": metadata["list"]}
    assert repr(spec) == '<KernelSpec "odd": odd>'


def test_kernelspecs_are_equal_by_value_and_frozen(install):
    install("one", argv=["one"])
    install("two", argv=["two"])
    one = mcp_jupyter.kernelspec("one")
    assert one == mcp_jupyter.kernelspecs()["one"]
    assert one != mcp_jupyter.kernelspec("two")
    with pytest.raises(AttributeError):
        one.name = "other"


def test_changes_of_the_environment_are_seen(install):
    assert "late" not in mcp_jupyter.kernelspecs()
    install("late", argv=["late"])
    assert "late" in mcp_jupyter.kernelspecs()


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(mcp_jupyter.NotFoundError, match='no kernelspec named "cobol" .*python3'):
        mcp_jupyter.kernelspec("cobol")


def test_an_unusable_kernelspec_is_left_out_and_explained(install):
    folder = install("broken", argv="python")
    assert "broken" not in mcp_jupyter.kernelspecs()
    with pytest.raises(mcp_jupyter.KernelStartError, match="\"argv\" should be a list") as error:
        mcp_jupyter.kernelspec("broken")
    assert str(folder / "kernel.json") in str(error.value)


@pytest.mark.parametrize("python", ["/no/such/python", Path("/bin/false")])
def test_an_unusable_interpreter_is_an_error(python):
    with pytest.raises(mcp_jupyter.KernelStartError, match=str(python)):
        mcp_jupyter.kernelspecs(python)
    with pytest.raises(mcp_jupyter.KernelStartError, match=str(python)):
        mcp_jupyter.kernelspec("python3", python=python)


def test_another_interpreter_can_be_asked():
    assert mcp_jupyter.kernelspecs(sys.executable) == mcp_jupyter.kernelspecs()
    with pytest.raises(TypeError):
        mcp_jupyter.kernelspecs(1)
