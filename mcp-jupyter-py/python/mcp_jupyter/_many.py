"""Running many notebooks."""

from __future__ import annotations

import os
import time
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sized, Tuple, Type

from . import exceptions
from ._manifest import Manifest, key_of
from ._options import Notebook, Path, is_address, native_options
from ._run import LiveRuns, execute
from .results import RunResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import RunOptions

__all__ = ["Outcome", "run_many"]

RunSpec = Tuple[Notebook, Optional[Mapping[str, Any]], Optional[Path]]

# How often Ctrl-C is looked for while nothing ends, in seconds. A signal that comes right before a thread begins to wait
# for a lock does not end that.
_SIGNAL_INTERVAL = 0.1

# What is not of the notebook's own making, so that another attempt may go well.
_TRANSIENT = (
    exceptions.KernelDiedError,
    exceptions.KernelStartError,
    exceptions.SystemCallError,
    exceptions.UnavailableError,
)

# How many runs of a foreign executor are submitted and have not ended.
_SUBMITTED = 1000


@dataclass
class Outcome:
    """What came of one run of a batch.

    Attributes
    ----------
    notebook : str
        The notebook's path, or ``<dict>`` where it was given itself.
    parameters : mapping
        Its parameters.
    output : str or None
        Where it was saved.
    result : RunResult or None
        What the run has left; None where it could not be run, or an earlier batch has done it.
    error : Exception or None
        Why it has failed; None where it has not.
    attempts : int
        How many attempts that took.
    resumed : bool
        Whether an earlier batch has done it, as the manifest says.
    """

    notebook: str
    parameters: Mapping[str, Any]
    output: Optional[str]
    result: Optional[RunResult] = None
    error: Optional[BaseException] = None
    attempts: int = 0
    resumed: bool = False

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.error is None

    def raise_for_status(self) -> None:
        """Raises the error, where there is one."""
        if self.error is not None:
            raise self.error


@dataclass
class _Job:
    """A run that is to be done."""

    key: str
    outcome: Outcome
    notebook: Notebook
    options: Mapping[str, Any]


def run_many(
    runs: Iterable[RunSpec],
    executor: Optional[Executor] = None,
    *,
    workers: Optional[int] = None,
    retries: int = 0,
    retry_on: Tuple[Type[BaseException], ...] = _TRANSIENT,
    manifest: Optional[Path] = None,
    progress: bool = False,
    **options: Unpack[RunOptions],
) -> Iterator[Outcome]:
    """Runs many notebooks, and gives what came of each as it ends.

    Nothing begins before the first outcome is asked for. Where the iteration is left, by Ctrl-C too, no further notebook is
    begun; those that run in threads of this process are interrupted and saved.

    Parameters
    ----------
    runs : iterable of (notebook, parameters, output)
        The notebooks, each as `run` takes it, with its parameters and where to save it; both may be None. It is
        read as it is needed.
    executor : concurrent.futures.Executor, optional
        Who runs them: Dask's ``Client.get_executor()``, loky's, mpi4py's, a process pool. Else threads of this process,
        which do nothing but wait.
    workers : int, optional
        How many threads, without an `executor`; as many as there are processors if None.
    retries : int
        How often a run is tried again, at most.
    retry_on : tuple of exception types
        After which failures: by default those that are not of the notebook's own making. What an executor raises by itself,
        say because a machine is gone, is always tried again.
    manifest : path, optional
        A file of JSON lines in which every run is noted when it has ended. A batch with the same file goes on where an
        earlier one has stopped: what has ended well is not run again, unless its output is missing from this machine and
        there is no `executor`.
    progress : bool
        Whether to show how many runs have ended, by tqdm or rich, where one of them is installed.
    **options
        As those of `run`, for all notebooks.

    Yields
    ------
    Outcome
        What came of one run. Failures are values.

    Raises
    ------
    InvalidRequestError
        Where two runs would be saved to the same file.
    ConflictError, CorruptError
        Where another batch uses the manifest, or it is none.

    Examples
    --------
    >>> runs = [("fit.ipynb", {"alpha": a}, f"out/{a}.ipynb") for a in (0.1, 0.2)]
    >>> for outcome in mcp_jupyter.run_many(runs, manifest="out/runs.jsonl"):  # doctest: +SKIP
    ...     print(outcome.notebook, outcome.parameters, outcome.error or "ok")
    """
    book = Manifest(manifest) if manifest is not None else None
    own = None
    try:
        if executor is None:
            own = _Threads(workers or len(os.sched_getaffinity(0)))
        batch = _Batch(own or executor, book, retries, retry_on)
        outcomes = batch.outcomes(_jobs(runs, options), own)
        yield from _shown(outcomes, runs) if progress else outcomes
    finally:
        if own is not None:
            own.end()
        if book is not None:
            book.close()


class _Threads(ThreadPoolExecutor):
    """Threads, with the runs that they wait for."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="mcp-jupyter-many")
        self.workers = workers
        self.live = LiveRuns()

    def end(self) -> None:
        """Interrupts what runs, and waits for its end."""
        self.shutdown(wait=False, cancel_futures=True)
        self.live.end()
        self.shutdown(wait=True)


class _Batch:
    """Runs jobs on an executor."""

    def __init__(
        self, executor: Optional[Executor], book: Optional[Manifest], retries: int, retry_on: Tuple[Type[BaseException], ...]
    ) -> None:
        assert executor is not None
        self._executor = executor
        self._book = book
        self._retries = retries
        self._retry_on = retry_on
        self._waiting: Dict[Future[RunResult], _Job] = {}

    def outcomes(self, jobs: Iterator[_Job], own: Optional[_Threads]) -> Iterator[Outcome]:
        limit = 2 * own.workers if own else _SUBMITTED
        try:
            while True:
                for job in islice(jobs, limit - len(self._waiting)):
                    if self._is_done(job, bool(own)):
                        yield job.outcome
                    else:
                        self._submit(job)
                if not self._waiting:
                    return
                done, _ = wait(self._waiting, _SIGNAL_INTERVAL, return_when=FIRST_COMPLETED)
                for future in done:
                    if outcome := self._ended(future):
                        yield outcome
        finally:
            for future in self._waiting:
                future.cancel()

    def _is_done(self, job: _Job, is_here: bool) -> bool:
        if self._book is None or (entry := self._book.done(job.key)) is None:
            return False
        output = job.outcome.output
        if is_here and output is not None and not is_address(output) and not os.path.exists(output):
            return False
        job.outcome.attempts, job.outcome.resumed = entry["attempts"], True
        return True

    def _submit(self, job: _Job) -> None:
        job.outcome.attempts += 1
        live = getattr(self._executor, "live", None)
        arguments = (job.notebook, job.outcome.output, job.options)
        future = self._executor.submit(run_one, *arguments, *([] if live is None else [live]))
        self._waiting[future] = job

    def _ended(self, future: Future[RunResult]) -> Optional[Outcome]:
        """The outcome, where there is no further attempt."""
        job = self._waiting.pop(future)
        outcome = job.outcome
        outcome.error = future.exception()
        if outcome.error is None:
            outcome.result, outcome.error = _judged(future.result())
        else:
            outcome.result = getattr(outcome.error, "result", None)
        if outcome.error is not None and outcome.attempts <= self._retries and self._is_transient(outcome.error):
            self._submit(job)
            return None
        if self._book is not None:
            self._book.add(_entry(job))
        return outcome

    def _is_transient(self, error: BaseException) -> bool:
        return isinstance(error, self._retry_on) or not isinstance(error, (exceptions.Error, TypeError))


def run_one(
    notebook: Notebook, output: Optional[str], options: Mapping[str, Any], live: Optional[LiveRuns] = None
) -> RunResult:
    """Runs one notebook on the interpreter that calls this; how the run has ended is in what it gives."""
    return execute(native_options(notebook, output, options), live=live)


def _judged(result: RunResult) -> Tuple[RunResult, Optional[BaseException]]:
    try:
        result.raise_for_status()
    except (exceptions.Error, KeyboardInterrupt) as error:
        return result, error
    return result, None


def _shown(outcomes: Iterator[Outcome], runs: Iterable[RunSpec]) -> Iterator[Outcome]:
    from ._progress import counting_bar

    with counting_bar("runs", "run") as update:
        update(len(runs) if isinstance(runs, Sized) else 0, 0)
        for outcome in outcomes:
            update(0, 1)
            yield outcome


def _jobs(runs: Iterable[RunSpec], options: Mapping[str, Any]) -> Iterator[_Job]:
    seen: Dict[str, int] = {}
    outputs: Dict[str, str] = {}
    for notebook, parameters, output in runs:
        given = {**options, "parameters": parameters}
        target: Optional[str] = native_options(notebook, output, given)["output"]
        name = "<dict>" if isinstance(notebook, Mapping) else os.fspath(notebook)
        if target is not None:
            path = target if is_address(target) else os.path.abspath(target)
            if path in outputs:
                message = f"{outputs[path]} and {name} would both be written to {target}; give each run its own output"
                raise exceptions.InvalidRequestError(message)
            outputs[path] = name
        alike = key_of(notebook, parameters, output, 0)
        nth = seen[alike] = seen.get(alike, -1) + 1
        key = alike if nth == 0 else key_of(notebook, parameters, output, nth)
        yield _Job(key, Outcome(name, dict(parameters or {}), target), notebook, given)


def _entry(job: _Job) -> Dict[str, Any]:
    outcome = job.outcome
    status = "ok" if outcome.ok else outcome.result.status if outcome.result else "failed"
    return {
        "key": job.key,
        "notebook": outcome.notebook,
        "parameters": outcome.parameters,
        "output": outcome.output,
        "status": status,
        "error": None if outcome.ok else _told(outcome.error),
        "attempts": outcome.attempts,
        "seconds": outcome.result.seconds if outcome.result else None,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _told(error: Optional[BaseException]) -> Dict[str, Any]:
    told: Dict[str, Any] = {"type": type(error).__name__, "message": str(error).split("\n")[0]}
    if isinstance(error, exceptions.CellExecutionError):
        told.update(ename=error.ename, evalue=error.evalue, cell_id=error.cell_id)
    return told
