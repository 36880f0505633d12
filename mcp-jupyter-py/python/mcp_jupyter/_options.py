"""What the arguments of runs mean to the compiled half."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, TypedDict, Union

from .exceptions import InvalidRequestError

if TYPE_CHECKING:
    from typing_extensions import Literal

    from ._assets import Assets
    from .backends import AssetStore, Scheduler

Path = Union[str, "os.PathLike[str]"]
Notebook = Union[Path, Mapping[str, Any]]


class RunOptions(TypedDict, total=False):
    """The options that all runs share; `run` explains them."""

    parameters: Optional[Mapping[str, Any]]
    kernel: Optional[str]
    python: Optional[Path]
    cwd: Optional[Path]
    env: Optional[Mapping[str, str]]
    timeout: Optional[float]
    run_timeout: Optional[float]
    startup_timeout: float
    on_error: Literal["stop", "continue", "independent"]
    save: Union[Literal["every-cell", "on-exit"], float]
    tags: Iterable[str]
    skip_tags: Iterable[str]
    first: Optional[str]
    last: Optional[str]
    targets: Iterable[str]
    resume: bool
    assets: Union[None, Path, Assets, AssetStore]
    asset_threshold: Optional[int]
    scheduler: Optional[Scheduler]
    redact: bool
    strip_timing: bool


_DEFAULTS: Dict[str, Any] = {
    "kernel": None,
    "python": None,
    "cwd": None,
    "env": None,
    "timeout": None,
    "run_timeout": None,
    "startup_timeout": 60.0,
    "on_error": "stop",
    "save": "every-cell",
    "tags": (),
    "skip_tags": (),
    "first": None,
    "last": None,
    "targets": (),
    "resume": False,
    "assets": None,
    "asset_threshold": None,
    "scheduler": None,
    "redact": False,
    "strip_timing": False,
}


def native_options(
    notebook: Notebook,
    output: Optional[Path],
    options: Mapping[str, Any],
    *,
    prefers_interpreter: bool = True,
    papermill: Optional[Dict[str, Any]] = None,
) -> Dict[str, Any]:
    """The options of a run, complete, as the compiled half takes them."""
    values = {**_DEFAULTS, **options}
    unknown = sorted(set(values) - set(_DEFAULTS) - {"parameters"})
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r}; those of a run are {', '.join(sorted(_DEFAULTS))}, parameters")
    path, document = _source(notebook)
    cwd = folder(values["cwd"])
    values.update(
        path=path,
        document=document,
        output=None if output is None else _path(os.fspath(output)),
        parameters=to_json(values.pop("parameters", None) or {}),
        kernel=kernel_choice(values["kernel"], values.pop("python"), prefers_interpreter),
        cwd=_folder_of(path) if cwd is None else cwd,
        env=dict(values["env"] or {}),
        papermill=papermill,
        assets=_store(values["assets"]),
        scheduler=_scheduler(values["scheduler"]),
    )
    for name in ("tags", "skip_tags", "targets"):
        values[name] = as_list(values[name])
    return values


def _store(assets: Any) -> Any:
    """An address, or the compiled half of a store."""
    if assets is None or isinstance(assets, (str, os.PathLike)):
        return None if assets is None else os.fspath(assets)
    from ._assets import Assets

    return (assets if isinstance(assets, Assets) else Assets(assets)).handle


def _scheduler(scheduler: Any) -> Any:
    """The compiled half of a scheduler."""
    if scheduler is None:
        return None
    from ._scheduling import open_scheduler

    return open_scheduler(scheduler)


def folder(cwd: Optional[Path]) -> Optional[str]:
    """The folder of a kernel, which has to be there."""
    if cwd is None:
        return None
    if not os.path.isdir(cwd):
        raise InvalidRequestError(f"cwd={os.fspath(cwd)!r}: there is no such folder")
    return os.fspath(cwd)


def as_list(names: Union[str, Iterable[str]]) -> List[str]:
    """Names, where one may stand alone."""
    return [names] if isinstance(names, str) else list(names)


def notebook_source(notebook: Notebook) -> Dict[str, Any]:
    """Where the compiled half finds a notebook: in a file, or in its JSON."""
    path, document = _source(notebook)
    return {"path": path, "document": document}


def kernel_choice(name: Optional[str], python: Optional[Path], prefers_interpreter: bool = True) -> Dict[str, Any]:
    """How the compiled half is to choose a kernel."""
    from importlib.util import find_spec

    return {
        "name": name,
        "python": None if python is None else os.fspath(python),
        "interpreter": sys.executable or None,
        "has_ipykernel": bool(sys.executable) and find_spec("ipykernel") is not None,
        "prefers_interpreter": prefers_interpreter,
    }


def to_json(value: Any) -> str:
    """A value as JSON; what JSON does not know becomes what papermill makes of it: text."""
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    # Scalars and arrays of numpy and pandas.
    for method in ("tolist", "item"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def _source(notebook: Notebook) -> "tuple[Optional[str], Optional[bytes]]":
    if isinstance(notebook, Mapping):
        return None, json.dumps(notebook).encode()
    try:
        return _path(os.fspath(notebook)), None
    except TypeError:
        kind = type(notebook).__name__
        raise TypeError(f"notebook: expected a path, a dict or a NotebookNode, and got {kind}") from None


def is_address(path: str) -> bool:
    """Whether a path is one of an object in a cloud's store."""
    return path.startswith(("s3://", "gs://", "az://"))


def _path(path: str) -> str:
    """A path, or the address of an object; another URL would become a folder of that name."""
    scheme, separator, _ = path.partition("://")
    if separator and scheme.isalnum() and not is_address(path):
        reason = "files of this machine and objects at s3://, gs:// and az:// are read and written, and nothing else"
        raise InvalidRequestError(f"{path}: {reason}; fetch it first, or upload it afterwards")
    return path


def _folder_of(path: Optional[str]) -> Optional[str]:
    return None if path is None or is_address(path) else os.path.dirname(path) or None
