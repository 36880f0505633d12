"""An executor of Ray's."""

from __future__ import annotations

from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from typing import Any, Callable, Set, TypeVar

__all__ = ["RayExecutor"]

_T = TypeVar("_T")


class RayExecutor(Executor):
    """Runs what is submitted to it as tasks of Ray: an `executor` for `run_many`.

    Where this process is connected to no cluster of Ray's yet, it is connected to the one that ``RAY_ADDRESS`` names, or a
    new one on this machine. Leaving its ``with``, and `shutdown`, wait for the tasks, and leave the cluster as it is.

    Parameters
    ----------
    **options
        What ``ray.remote`` takes for a task: ``num_cpus``, ``resources``, ``max_retries`` …

    Raises
    ------
    ImportError
        Where `ray` is not installed.

    Examples
    --------
    >>> with mcp_jupyter.RayExecutor(num_cpus=1) as executor:  # doctest: +SKIP
    ...     outcomes = list(mcp_jupyter.run_many(runs, executor))
    """

    def __init__(self, **options: Any) -> None:
        import ray  # type: ignore[import-not-found, import-untyped, unused-ignore]

        if not ray.is_initialized():
            ray.init()
        self._ray = ray
        self._task = ray.remote(**options)(_call) if options else ray.remote(_call)
        self._pending: Set[Future[Any]] = set()
        self._is_shut_down = False

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Begins a task as soon as the cluster has room for it.

        Parameters
        ----------
        fn : callable
            What is to be done; it, its arguments and its value are pickled.
        *args, **kwargs
            Its arguments.

        Returns
        -------
        concurrent.futures.Future
            Its value, or what it raises.

        Raises
        ------
        RuntimeError
            After `shutdown`.
        """
        if self._is_shut_down:
            raise RuntimeError("cannot submit to a RayExecutor after its shutdown")
        reference = self._task.remote(fn, args, kwargs)
        future: _RayFuture = _RayFuture(lambda: self._ray.cancel(reference))
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        reference.future().add_done_callback(future.follow)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no further tasks.

        Parameters
        ----------
        wait : bool
            Whether to wait for those that are there.
        cancel_futures : bool
            Whether to cancel them first.
        """
        from concurrent.futures import wait as wait_for

        self._is_shut_down = True
        pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            wait_for(pending)


class _RayFuture(Future):  # type: ignore[type-arg]
    """The future of a task, which cancelling ends; one that runs is interrupted."""

    def __init__(self, cancel: Callable[[], Any]) -> None:
        super().__init__()
        self._cancel_task = cancel

    def cancel(self) -> bool:
        is_cancelled = super().cancel()
        if is_cancelled:
            self._cancel_task()
        return is_cancelled

    def follow(self, done: Future[Any]) -> None:
        """Takes over what came of the task."""
        try:
            error = done.exception()
            if error is None:
                self.set_result(done.result())
            else:
                self.set_exception(error)
        except (CancelledError, InvalidStateError):
            # It was cancelled before.
            super().cancel()


def _call(function: Callable[..., _T], args: Any, kwargs: Any) -> _T:
    return function(*args, **kwargs)
