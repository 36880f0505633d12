"""A progress bar by whichever library is installed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator

if TYPE_CHECKING:
    from .events import Event

Update = Callable[[int, int], object]
"""Is told how much there is to do, where that is news and not 0, and how much more is done."""


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[Event], object]]:
    """The bar of one run: gives what is to be told every event."""
    with counting_bar(title, "cell") as update:
        yield _listener(update)


@contextmanager
def counting_bar(title: str, unit: str) -> Iterator[Update]:
    """A bar; without tqdm and rich it shows nothing."""
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        with _rich_bar(title) as update:
            yield update
        return
    with tqdm(desc=title, unit=unit) as bar:

        def update_tqdm(total: int, done: int) -> None:
            if total:
                bar.total = total
            bar.update(done)

        yield update_tqdm


@contextmanager
def _rich_bar(title: str) -> Iterator[Update]:
    try:
        from rich.progress import Progress  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        yield lambda total, done: None
        return
    with Progress() as progress:
        task = progress.add_task(title, total=None)

        def update(total: int, done: int) -> None:
            progress.update(task, total=total or None, advance=done)

        yield update


def _listener(update: Update) -> Callable[[Event], object]:
    def listen(event: Event) -> Any:
        if event["event"] == "run_started":
            update(event["cells"], 0)
        elif event["event"] == "cell_finished":
            update(0, 1)

    return listen
