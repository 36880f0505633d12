"""A progress bar by whichever library is installed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator

if TYPE_CHECKING:
    from .events import Event


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[Event], object]]:
    """Gives what is to be told every event; without tqdm and rich it shows nothing."""
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        with _rich_bar(title) as listener:
            yield listener
        return
    with tqdm(desc=title, unit="cell") as bar:

        def update(total: int, done: int) -> None:
            if total:
                bar.total = total
            bar.update(done)

        yield _listener(update)


@contextmanager
def _rich_bar(title: str) -> Iterator[Callable[[Event], object]]:
    try:
        from rich.progress import Progress  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        yield lambda event: None
        return
    with Progress() as progress:
        task = progress.add_task(title, total=None)

        def update(total: int, done: int) -> None:
            progress.update(task, total=total or None, advance=done)

        yield _listener(update)


def _listener(update: Callable[[int, int], Any]) -> Callable[[Event], object]:
    def listen(event: Event) -> None:
        if event["event"] == "run_started":
            update(event["cells"], 0)
        elif event["event"] == "cell_finished":
            update(0, 1)

    return listen
