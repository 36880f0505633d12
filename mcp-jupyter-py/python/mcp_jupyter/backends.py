"""Backends in Python: classes that take the place of what the library does itself.

A class derives from `AssetStore` and implements its methods, each as a function or as a coroutine function; coroutines run
in one event loop, on a thread of their own. `Assets` takes an object of it, and so does ``assets=`` of `run`.
`asset_store_cases` are what every store must do, to be run against it:

>>> @pytest.mark.parametrize("case", mcp_jupyter.backends.asset_store_cases(), ids=str)  # doctest: +SKIP
... def test_my_store(case):
...     case.run(lambda: MyStore())

In the same way a class that derives from `Scheduler` decides what is executed: ``scheduler=`` of `run` takes it, and
`scheduler_cases` are what every scheduler must do. `LocalScheduler` is the library's own, to build upon.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, Awaitable, Callable, Dict, Iterable, List, Optional, Tuple, Union

from . import _native
from ._adapters import store_adapter
from ._scheduling import LocalScheduler, Scheduler, SchedulerCase, StartedRun, scheduler_cases
from ._tasks import Task, same

__all__ = [
    "AssetStore",
    "AssetStoreCase",
    "LocalScheduler",
    "Scheduler",
    "SchedulerCase",
    "Staged",
    "StartedRun",
    "asset_store_cases",
    "scheduler_cases",
]

Staged = _native.Staged

Metadata = Dict[str, Any]
Reference = Dict[str, str]

class AssetStore(ABC):
    """Keeps immutable bytes by their digest.

    Every method may be a function or a coroutine function, and may be called from several threads at once. Digests are
    ``sha256:`` and 64 hexadecimal digits; times are nanoseconds since 1970. What a method raises fails the call: raise
    `NotFoundError` where there is no such asset, and the other exceptions of this package where they fit; `OSError` and
    all others say that the store does not work.
    """

    @abstractmethod
    def create(self, asset: Metadata, content: Staged) -> Union[Metadata, Awaitable[Metadata]]:
        """Makes an asset, as a whole or not at all, and takes its mark away. Repeating it makes it once.

        Parameters
        ----------
        asset : dict
            What is known of it: ``digest``, ``length``, ``mime``, ``created``, perhaps ``lines`` and ``pixels``.
        content : Staged
            Its bytes: ``content.read_at(offset, limit)``.

        Returns
        -------
        dict
            What is known of it: that of the first time, where it was made before.
        """

    @abstractmethod
    def head(self, digest: str) -> Union[Metadata, Awaitable[Metadata]]:
        """Tells what is known of an asset, as `create` was given it.

        Raises
        ------
        NotFoundError
            Where there is none.
        """

    @abstractmethod
    def read(self, digest: str, start: int, end: int) -> Union[bytes, Awaitable[bytes]]:
        """Reads a range of an asset, which lies within it and has at most 8 MiB.

        Raises
        ------
        NotFoundError
            Where there is none.
        """

    @abstractmethod
    def list(self) -> Union[Iterable[Metadata], Awaitable[Iterable[Metadata]]]:
        """Lists what is known of all assets, in any order."""

    @abstractmethod
    def delete(self, digest: str) -> Optional[Awaitable[None]]:
        """Deletes an asset with its references and mark. Does nothing where there is none."""

    @abstractmethod
    def add_reference(self, digest: str, reference: Reference) -> Optional[Awaitable[None]]:
        """Notes why an asset must stay: ``notebook`` and ``cell``, or ``pin``. Repeating it changes nothing.

        Raises
        ------
        NotFoundError
            Where there is none, or it has just been collected.
        """

    @abstractmethod
    def remove_reference(self, digest: str, reference: Reference) -> Optional[Awaitable[None]]:
        """Forgets a reference. Does nothing where there is none."""

    @abstractmethod
    def references(self, digest: str) -> Union[Iterable[Reference], Awaitable[Iterable[Reference]]]:
        """Lists why an asset must stay, in any order; nothing where there is none."""

    @abstractmethod
    def list_references(self) -> Union[Iterable[Tuple[str, Reference]], Awaitable[Iterable[Tuple[str, Reference]]]]:
        """Lists all references of all assets, each with its digest, in any order."""

    @abstractmethod
    def mark(self, digest: str, now: int) -> Union[int, Awaitable[int]]:
        """Marks an asset as one that nothing seems to need, unless it is marked.

        Returns
        -------
        int
            The time of the mark.

        Raises
        ------
        NotFoundError
            Where there is none.
        """

    @abstractmethod
    def unmark(self, digest: str) -> Optional[Awaitable[None]]:
        """Takes the mark away. Does nothing where there is none."""

    @abstractmethod
    def list_marks(self) -> Union[Iterable[Tuple[str, int]], Awaitable[Iterable[Tuple[str, int]]]]:
        """Lists all marks, each with its digest, in any order."""

    @abstractmethod
    def collect(self, digest: str, marked_until: int) -> Union[bool, Awaitable[bool]]:
        """Deletes an asset if it is marked since `marked_until` or longer and nothing refers to it, in one step that
        `create` and `add_reference` cannot fall into.

        Returns
        -------
        bool
            Whether it was deleted.
        """


class AssetStoreCase:
    """Something that every store of assets must do.

    Attributes
    ----------
    name : str
        Its name, fit for that of a test.
    description : str
        What the store must do, as a sentence.
    """

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description

    def run(
        self,
        store: Callable[[], AssetStore],
        again: Optional[Callable[[], AssetStore]] = None,
        *,
        plant: Optional[Callable[[str], bool]] = None,
        is_planted: Optional[Callable[[], bool]] = None,
    ) -> None:
        """Runs the case.

        Parameters
        ----------
        store : callable
            Gives a store that has nothing.
        again : callable, optional
            Gives the same store once more, as another process would open it; else the very object that `store` has given.
        plant : callable, optional
            Puts what the store has not written beside what it has, such as files close to those of the asset with this
            digest; tells whether it could.
        is_planted : callable, optional
            Whether all that was planted is there as it was.

        Raises
        ------
        AssertionError
            Where the store does not do what the case is about.
        """
        made: List[AssetStore] = []

        def answer(method: str, arguments: str, extra: object) -> Tuple[str, Any]:
            if method == "store":
                made.append(store())
            elif method == "again" and again is not None:
                made.append(again())
            elif method == "plant":
                return "", json.dumps(bool(plant and plant(json.loads(arguments)["digest"])))
            elif method == "is_planted":
                return "", json.dumps(is_planted is None or bool(is_planted()))
            return "", store_adapter(made[-1])

        Task(_native.check_asset_store(self.name, answer), same).wait()

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<AssetStoreCase {self.name}: {self.description}>"


def asset_store_cases() -> List[AssetStoreCase]:
    """What every store of assets must do, a case each.

    Returns
    -------
    list of AssetStoreCase
        The cases, to be run one by one.
    """
    return [AssetStoreCase(name, description) for name, description in _native.asset_store_cases()]
