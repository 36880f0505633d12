"""papermill's `execute_notebook`, on our engine."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, TextIO, Union

from ._failure_marks import save_with_marks
from ._options import native_options
from ._run import execute
from .exceptions import CellExecutionError, InvalidRequestError, UnsupportedError

if TYPE_CHECKING:
    from .events import Event
    from .results import RunResult

logger = logging.getLogger("mcp_jupyter")

PathOrNotebook = Union[str, "os.PathLike[str]", Mapping[str, Any]]

_ENGINES = (None, "nbclient", "mcp_jupyter")


def execute_notebook(
    input_path: PathOrNotebook,
    output_path: Union[str, os.PathLike[str], None],
    parameters: Optional[Mapping[str, Any]] = None,
    engine_name: Optional[str] = None,
    request_save_on_cell_execute: bool = True,
    prepare_only: bool = False,
    kernel_name: Optional[str] = None,
    language: Optional[str] = None,
    progress_bar: bool = True,
    log_output: bool = False,
    stdout_file: Optional[TextIO] = None,
    stderr_file: Optional[TextIO] = None,
    start_timeout: float = 60,
    report_mode: bool = False,
    cwd: Union[str, os.PathLike[str], None] = None,
    **engine_kwargs: Any,
) -> Any:
    """Runs a notebook as papermill does: the same arguments, injected parameters and metadata.

    Other than papermill, it keeps every output however fast the kernel talks, and saves the notebook whatever happens.

    Parameters
    ----------
    input_path : path or nbformat.NotebookNode
        The notebook. Fields such as ``{year}`` in a path are filled from `parameters`, ``run_uuid``,
        ``current_datetime_local`` and ``current_datetime_utc``.
    output_path : path or None
        Where to save it, likewise; nowhere if None.
    parameters : mapping, optional
        Values for the cell tagged ``parameters``.
    engine_name : str, optional
        ``nbclient``, which is papermill's default, or None: the engine is ours.
    request_save_on_cell_execute : bool
        Whether to save after every cell, or at the end alone.
    prepare_only : bool
        Whether to inject the parameters and save, and execute nothing.
    kernel_name : str, optional
        The kernelspec to run on instead of the one that the notebook names.
    language : str, optional
        The language to write parameters in.
    progress_bar : bool
        Whether to show a progress bar, where tqdm or rich is installed.
    log_output : bool
        Whether to log what cells print, to the logger ``mcp_jupyter``.
    stdout_file, stderr_file : file, optional
        Text files that what cells print is written to as well.
    start_timeout : float
        How long the kernel may take to start, in seconds.
    report_mode : bool
        Whether to hide the sources of all cells.
    cwd : path, optional
        The kernel's folder; else that of this process.
    **engine_kwargs
        ``execution_timeout`` (or ``timeout``), in seconds for one cell; ``allow_errors``; ``autosave_cell_every`` is accepted,
        since long cells are always saved. Others are named in a warning and have no effect.

    Returns
    -------
    nbformat.NotebookNode
        The notebook with its outputs; a dictionary where nbformat is not installed.

    Raises
    ------
    CellExecutionError
        As papermill's ``PapermillExecutionError``, with the same attributes. As papermill does, a note is put before the
        failed cell, and one that leads there at the top of the saved notebook; the next run leaves them out.
    InvalidRequestError
        As ``PapermillMissingParameterException``, where a field of a path has no value.
    NotFoundError
        As ``NoSuchKernel``, and where there is no such notebook.
    KernelDiedError, TimedOutError
        As nbclient's ``DeadKernelError`` and ``CellTimeoutError``.
    """
    if engine_name not in _ENGINES:
        raise UnsupportedError(f"engine_name={engine_name!r}: papermill's engines cannot be used; leave it out")
    values = {**_builtin_values(), **(parameters or {})}
    source = input_path if isinstance(input_path, Mapping) else _filled(input_path, values)
    output = None if output_path is None else _filled(output_path, values)
    options = native_options(
        source,
        output,
        {
            "parameters": parameters,
            "kernel": kernel_name,
            "cwd": os.getcwd() if cwd is None else cwd,
            "startup_timeout": start_timeout,
            "save": "every-cell" if request_save_on_cell_execute else "on-exit",
            **_engine_options(engine_kwargs),
        },
        prefers_interpreter=False,
        papermill={
            "report_mode": report_mode,
            "language": language,
            "input_path": "" if isinstance(source, Mapping) else source,
            "output_path": output,
            "prepare_only": prepare_only,
        },
    )
    listeners = [_writer(stdout_file, stderr_file)]
    if log_output:
        listeners.append(_log)
    result = execute(options, lambda event: [listen(event) for listen in listeners], progress_bar and not prepare_only)
    for warning in result.warnings:
        logger.warning(warning)
    try:
        result.raise_for_status()
    except CellExecutionError as error:
        # Code that ends by sys.exit() or sys.exit(0) has ended well.
        if error.ename != "SystemExit" or error.evalue not in ("", "0"):
            if output is not None:
                save_with_marks(result, error, output)
            raise
    return _notebook(result)


def _builtin_values() -> Dict[str, Any]:
    from datetime import datetime, timezone
    from uuid import uuid4

    return {
        "run_uuid": str(uuid4()),
        "current_datetime_local": datetime.now(),
        "current_datetime_utc": datetime.now(timezone.utc).replace(tzinfo=None),
    }


def _filled(path: Union[str, os.PathLike[str]], values: Mapping[str, Any]) -> str:
    text = os.fspath(path)
    try:
        return text.format(**values)
    except KeyError as missing:
        raise InvalidRequestError(f"{text}: no parameter has the name {missing.args[0]!r}") from None


def _engine_options(given: Mapping[str, Any]) -> Dict[str, Any]:
    import warnings

    rest = dict(given)
    rest.pop("autosave_cell_every", None)
    limits: List[Any] = [rest.pop(name, None) for name in ("execution_timeout", "timeout")]
    # papermill has no limit for None, 0 and less.
    timeout = next((limit for limit in limits if limit is not None and limit > 0), None)
    on_error = "continue" if rest.pop("allow_errors", False) else "stop"
    for name in rest:
        warnings.warn(f"{name}: this option of papermill's engines has no effect", stacklevel=3)
    return {"timeout": timeout, "on_error": on_error}


def _writer(stdout: Optional[TextIO], stderr: Optional[TextIO]) -> Callable[[Event], object]:
    files = {"stdout": stdout, "stderr": stderr}

    def write(event: Event) -> None:
        if event["event"] == "output" and (file := files.get(event["output"].get("name", ""))) is not None:
            file.write(event["output"]["text"])
            file.flush()

    return write


def _log(event: Event) -> None:
    if event["event"] == "cell_started":
        logger.info("Executing Cell %s", event["cell"]["index"])
    elif event["event"] == "output":
        output = event["output"]
        level = logging.WARNING if output.get("name") == "stderr" else logging.INFO
        text = output["text"] if "text" in output else output.get("data", {}).get("text/plain", "")
        if text:
            logger.log(level, "%s", text)


def _notebook(result: RunResult) -> Any:
    try:
        return result.to_nbformat()
    except ImportError:
        return result.to_dict()
