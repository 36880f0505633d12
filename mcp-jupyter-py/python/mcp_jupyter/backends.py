"""Backends in Python: classes that take the place of what the library does itself.

A class derives from `AssetStore` and implements its methods, each as a function or as a coroutine function; coroutines run
in one event loop, on a thread of their own. `Assets` takes an object of it, and so does ``assets=`` of `run`.
`asset_store_cases` are what every store must do, to be run against it:

>>> @pytest.mark.parametrize("case", mcp_jupyter.backends.asset_store_cases(), ids=str)  # doctest: +SKIP
... def test_my_store(case):
...     case.run(lambda: MyStore())
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, Iterable, List, Optional, Tuple, Union

from . import _native, exceptions
from ._tasks import Task, same

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["AssetStore", "AssetStoreCase", "Staged", "asset_store_cases"]

Staged = _native.Staged

Metadata = Dict[str, Any]
Reference = Dict[str, str]

_KINDS = [
    (exceptions.NotFoundError, "not_found"),
    (exceptions.InvalidRequestError, "invalid_request"),
    (exceptions.ConflictError, "conflict"),
    (exceptions.CorruptError, "corrupt"),
    (exceptions.UnsupportedError, "unsupported"),
    (exceptions.TimedOutError, "timed_out"),
    (exceptions.UnavailableError, "unavailable"),
    (OSError, "io"),
]


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
            return "", adapter(made[-1])

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


def open_store(store: AssetStore) -> _native.AssetsHandle:
    """The compiled half of a store that is written in Python."""
    name = str(store) if type(store).__str__ is not object.__str__ else type(store).__name__
    return _native.open_python_assets(adapter(store), name)


def adapter(store: AssetStore) -> Callable[[str, str, Optional[Staged]], Tuple[str, Any]]:
    """The function by which the compiled half calls a store's methods."""

    def call(method: str, arguments: str, content: Optional[Staged]) -> Tuple[str, Any]:
        try:
            named = json.loads(arguments)
            given = {} if content is None else {"content": content}
            value = awaited(getattr(store, method)(**named, **given))
            return "", bytes(value) if method == "read" else json.dumps(_plain(value))
        except Exception as error:
            kinds = [kind for known, kind in _KINDS if isinstance(error, known)]
            return f"error {kinds[0] if kinds else 'unknown'}", str(error) or type(error).__name__

    return call


def _plain(value: Any) -> Any:
    """A value as JSON knows it; an iterable becomes a list."""
    if value is None or isinstance(value, (bool, int, str, dict)):
        return value
    return [list(item) if isinstance(item, tuple) else item for item in value]


def awaited(value: Any) -> Any:
    """The value; one that has to be awaited is, in the event loop of the backends."""
    if not isawaitable(value):
        return value
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run_coroutine_threadsafe(wait(), _event_loop()).result()


_LOCK = threading.Lock()
_LOOP: Optional[Tuple[int, AbstractEventLoop]] = None


def _event_loop() -> AbstractEventLoop:
    """The event loop in which coroutines of backends run, in each fork another one."""
    import asyncio
    import os

    global _LOOP
    with _LOCK:
        if _LOOP is None or _LOOP[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="mcp-jupyter-backends", daemon=True).start()
            _LOOP = (os.getpid(), loop)
        return _LOOP[1]
