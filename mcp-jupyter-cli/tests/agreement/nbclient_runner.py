"""Runs a notebook with nbclient, behind the command line and the exit codes of `mcp-jupyter run`.

This is the oracle of `agreement.py`. The notebook is written however the run ends, unless it could not begin.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import sys

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

OK, CELL_FAILED, BAD_NOTEBOOK, NO_KERNEL, KERNEL_DIED, TIMED_OUT = 0, 1, 3, 4, 5, 6

EXIT_CODES = {
    CellExecutionError: CELL_FAILED,
    NoSuchKernel: NO_KERNEL,
    DeadKernelError: KERNEL_DIED,
    CellTimeoutError: TIMED_OUT,
}


def arguments() -> argparse.Namespace:
    """The part of `mcp-jupyter run`'s command line that the comparison uses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", choices=["run"])
    parser.add_argument("input", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", default="")
    parser.add_argument("--timeout", type=int)
    parser.add_argument("--allow-errors", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    return parser.parse_args()


def execute(notebook: nbformat.NotebookNode, options: argparse.Namespace) -> int:
    """Executes the notebook as `jupyter execute` does; gives the exit code."""
    client = NotebookClient(
        notebook,
        kernel_name=options.kernel,
        timeout=options.timeout,
        allow_errors=options.allow_errors,
        # The default, 4 s, loses outputs on a loaded machine without failing.
        iopub_timeout=600,
        resources={"metadata": {"path": str(options.input.resolve().parent)}},
    )
    try:
        client.execute()
    except tuple(EXIT_CODES) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    return OK


def main() -> int:
    """Reads, executes, writes."""
    logging.disable(logging.CRITICAL)
    options = arguments()
    try:
        notebook = nbformat.read(options.input, as_version=4)
        notebook.cells, notebook.metadata
    except Exception as error:  # whatever nbformat finds wrong with it
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return BAD_NOTEBOOK
    code = execute(notebook, options)
    if code != NO_KERNEL:
        nbformat.write(notebook, options.output)
    return code


if __name__ == "__main__":
    sys.exit(main())
