"""What depends on what in a notebook, and what would be executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from ._native import Planner
from ._options import Notebook, as_list, notebook_source
from ._tasks import Task, awaits, waits
from .exceptions import InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    import networkx as _networkx  # type: ignore[import-untyped, unused-ignore]
    import pandas as _pandas  # type: ignore[import-untyped, unused-ignore]
    from typing_extensions import Literal

    from ._native import Preview

    _Mode = Literal["smart", "incremental", "full", "append"]
    _Status = Literal["ok", "error", "aborted", "interrupted", "timed_out", "kernel_died"]

__all__ = ["AnalysedCell", "Edge", "Graph", "Plan", "PlannedCell", "Scheduler", "SkippedCell"]


@dataclass(frozen=True)
class AnalysedCell:
    """What a cell does to the names of its kernel, as far as its source tells."""

    index: int
    """Its place among all cells of the notebook, from 0."""
    id: str
    """Its id."""
    source: str
    """Its code."""
    reads: Tuple[str, ...]
    """Names that it reads before it binds them."""
    writes: Tuple[str, ...]
    """Names that it binds, mutates or deletes."""
    unknown: Optional[str]
    """Why something about it cannot be known."""


class Edge(NamedTuple):
    """A cell reads what another one above it wrote last."""

    writer: str
    """The id of the cell that writes."""
    reader: str
    """The id of the cell that reads."""
    names: Tuple[str, ...]
    """The names."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell that has to be executed, and why."""

    index: int
    """Its place among all cells of the notebook, from 0."""
    id: str
    """Its id."""
    source: str
    """Its code."""
    reason: str
    """``never_run``, ``kernel_restarted``, ``failed``, ``blocked``, ``edited``, ``moved``, ``removed_upstream``,
    ``upstream``, ``restore``, ``clobber`` or ``mode``."""
    via: Optional[int]
    """The place of the cell that causes it."""
    names: Tuple[str, ...]
    """The names that are concerned."""
    why: str
    """The reason in words."""


@dataclass(frozen=True)
class SkippedCell:
    """A cell that is not executed, and why."""

    index: int
    """Its place among all cells of the notebook, from 0."""
    id: str
    """Its id."""
    source: str
    """Its code."""
    reason: str
    """``empty``, ``tagged``, ``not_targeted``, ``fresh``, ``frozen``, ``skipped`` or ``blocked``."""
    why: str
    """The reason in words."""


class Graph:
    """Which cell reads what from which. Jupyter shows it as a picture.

    Attributes
    ----------
    cells : list of AnalysedCell
        Every code cell, in notebook order.
    edges : list of Edge
        All edges, by reader and then by writer.
    """

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        document = preview.document()
        sources = {cell["index"]: cell["source"] for cell in preview.explanations()}
        self.cells: List[AnalysedCell] = [_analysed(cell, sources[cell["index"]]) for cell in document["cells"]]
        ids = {cell.index: cell.id for cell in self.cells}
        edges = document["edges"]
        self.edges: List[Edge] = [Edge(ids[edge["from"]], ids[edge["to"]], tuple(edge["names"])) for edge in edges]

    @property
    def nodes(self) -> List[str]:
        """The ids of the cells, in notebook order."""
        return [cell.id for cell in self.cells]

    def upstream(self, cell: Union[str, int]) -> List[str]:
        """The cells that a cell depends on, directly or not, by id in notebook order.

        Parameters
        ----------
        cell : str or int
            Its id, or its place among all cells.

        Raises
        ------
        NotFoundError
            Where there is no such code cell.
        """
        return self._reached(cell, {edge: (edge.reader, edge.writer) for edge in self.edges})

    def downstream(self, cell: Union[str, int]) -> List[str]:
        """The cells that depend on a cell, directly or not, by id in notebook order; see `upstream`."""
        return self._reached(cell, {edge: (edge.writer, edge.reader) for edge in self.edges})

    def _reached(self, cell: Union[str, int], steps: Dict[Edge, Tuple[str, str]]) -> List[str]:
        start = self._find(cell)
        reached: Set[str] = set()
        found = [start]
        while found:
            here = found.pop()
            found += [to for at, to in steps.values() if at == here and to not in reached]
            reached.update(found)
        return [id for id in self.nodes if id in reached and id != start]

    def _find(self, cell: Union[str, int]) -> str:
        for found in self.cells:
            if cell in (found.id, found.index):
                return found.id
        raise NotFoundError(f"there is no code cell {cell!r}; there are {', '.join(self.nodes) or 'none'}")

    def svg(self) -> str:
        """The picture, as a file of its own."""
        return self._preview.draw("svg")

    def html(self) -> str:
        """The graph as a page that loads nothing, in which cells can be searched and followed."""
        return self._preview.draw("html")

    def mermaid(self) -> str:
        """The graph for Mermaid."""
        return self._preview.draw("mermaid")

    def dot(self) -> str:
        """The graph for Graphviz."""
        return self._preview.draw("dot")

    def to_networkx(self) -> _networkx.DiGraph:
        """The graph for `networkx`: nodes are ids of cells, with what `AnalysedCell` tells; edges have their ``names``.

        Raises
        ------
        ImportError
            Where `networkx` is not installed.
        """
        import networkx

        graph = networkx.DiGraph(name=self._preview.name)
        for cell in self.cells:
            graph.add_node(cell.id, **{name: value for name, value in vars(cell).items() if name != "id"})
        for edge in self.edges:
            graph.add_edge(edge.writer, edge.reader, names=edge.names)
        return graph

    def __repr__(self) -> str:
        return f"<Graph of {self._preview.name}: {len(self.cells)} cells, {len(self.edges)} edges>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg()}


def _analysed(cell: Dict[str, Any], source: str) -> AnalysedCell:
    return AnalysedCell(
        cell["index"], cell["id"], source, tuple(cell["reads"]), tuple(cell["writes"]), cell["unknown"]
    )


class Plan:
    """What would be executed, and why. Jupyter shows it as a picture; it has the length of what is to be executed.

    Attributes
    ----------
    cells : list of PlannedCell
        The cells to execute, in the order of execution.
    skipped : list of SkippedCell
        The other code cells.
    warnings : list of str
        What the user should know.
    needs_consent : list of int
        The places of cells marked ``@expensive`` that would be executed only to restore a value for others.
    delete : list of dict
        Names that are deleted from the kernel: ``names``, and the place of the cell ``before`` which; None at the end.
    """

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._document: Dict[str, Any] = preview.document()
        known = {cell["index"]: cell for cell in preview.explanations()}
        self.cells: List[PlannedCell] = [_planned(cell, known[cell["index"]]) for cell in self._document["stale"]]
        self.skipped: List[SkippedCell] = [_skipped(cell, known[cell["index"]]) for cell in self._document["skipped"]]
        self.warnings: List[str] = self._document["warnings"]
        self.needs_consent: List[int] = self._document["needs_consent"]
        self.delete: List[Dict[str, Any]] = self._document["delete"]

    @property
    def graph(self) -> Graph:
        """What the plan follows from: which cell reads what from which."""
        return Graph(self._preview)

    @property
    def ids(self) -> List[str]:
        """The ids of the cells to execute, in the order of execution."""
        return [cell.id for cell in self.cells]

    def svg(self) -> str:
        """The picture, as a file of its own; what is to be executed stands out."""
        return self._preview.draw("svg")

    def html(self) -> str:
        """The plan as a page that loads nothing."""
        return self._preview.draw("html")

    def mermaid(self) -> str:
        """The plan for Mermaid."""
        return self._preview.draw("mermaid")

    def dot(self) -> str:
        """The plan for Graphviz."""
        return self._preview.draw("dot")

    def to_dict(self) -> Dict[str, Any]:
        """The plan as ``mcp-jupyter plan --format json`` prints it."""
        return dict(self._document)

    def to_pandas(self) -> _pandas.DataFrame:
        """All code cells, a row each: what happens to it, and why.

        Raises
        ------
        ImportError
            Where `pandas` is not installed.
        """
        import pandas

        columns = ["index", "id", "do", "reason", "why"]
        return pandas.DataFrame(self._rows(), columns=columns).set_index("index")

    def _rows(self) -> List[Tuple[int, str, str, str, str]]:
        run = [(cell.index, cell.id, "run", cell.reason, cell.why) for cell in self.cells]
        skip = [(cell.index, cell.id, "skip", cell.reason, cell.why) for cell in self.skipped]
        return sorted(run + skip)

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[PlannedCell]:
        return iter(self.cells)

    def __repr__(self) -> str:
        return f"<Plan of {self._preview.name}: {len(self.cells)} of {len(self.cells) + len(self.skipped)} cells>"

    def __str__(self) -> str:
        rows = [f"#{index} {id}: {do} ({why})" for index, id, do, _, why in self._rows()]
        return "\n".join([repr(self)[1:-1], *rows, *self._preview.remarks()])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        return {"text/plain": str(self), "image/svg+xml": self.svg()}


def _planned(cell: Dict[str, Any], known: Dict[str, Any]) -> PlannedCell:
    names = tuple(cell["names"])
    return PlannedCell(cell["index"], cell["id"], known["source"], cell["reason"], cell["via"], names, known["why"])


def _skipped(cell: Dict[str, Any], known: Dict[str, Any]) -> SkippedCell:
    return SkippedCell(cell["index"], known["id"], known["source"], cell["reason"], known["why"])


class Scheduler:
    """Knows which cells of a notebook depend on which, what a kernel has executed of it, and what is stale.

    It executes nothing and looks at no kernel: it is told what was executed (`executed`). Jupyter shows it as a picture.
    Every method that takes a notebook takes its cells as they are now; without one, the notebook that was given last is
    read again. Methods whose name begins with an ``a`` are the same in asyncio.

    Parameters
    ----------
    notebook : path, dict or nbformat.NotebookNode, optional
        The notebook.

    Examples
    --------
    >>> scheduler = mcp_jupyter.Scheduler("report.ipynb")  # doctest: +SKIP
    >>> scheduler.executed()  # all of it
    >>> for cell in scheduler.plan():  # after an edit
    ...     print(cell.id, cell.why)
    """

    def __init__(self, notebook: Optional[Notebook] = None) -> None:
        self._planner = Planner()
        self._notebook = notebook

    def _analyse(self, notebook: Optional[Notebook] = None) -> Task[Graph]:
        """Finds which cell reads what from which.

        Parameters
        ----------
        notebook : path, dict or nbformat.NotebookNode, optional
            The notebook; else the one that was given last.

        Returns
        -------
        Graph
            The cells with what each reads and writes, and the edges between them.

        Raises
        ------
        NotFoundError, CorruptError, SystemCallError
            Where the notebook is not there, is none, or cannot be read.
        InvalidRequestError
            Where no notebook was given yet.
        """
        return self._preview(Graph, notebook, "smart", (), False, None)

    analyse = waits(_analyse)
    aanalyse = awaits(_analyse)

    def _plan(
        self,
        notebook: Optional[Notebook] = None,
        *,
        mode: _Mode = "smart",
        targets: Union[str, Iterable[str]] = (),
        allow_expensive: bool = False,
        since: Optional[Notebook] = None,
    ) -> Task[Plan]:
        """Finds what has to be executed, in which order, and why.

        Parameters
        ----------
        notebook : path, dict or nbformat.NotebookNode, optional
            The notebook; else the one that was given last.
        mode : {"smart", "incremental", "full", "append"}
            Stale cells and what they need; all from the first stale one on; all; those that were never executed.
        targets : str or iterable of str
            Only these parts and what they need: ``CELL``, ``CELL+``, ``A..B``, ``tag:NAME``.
        allow_expensive : bool
            Whether cells marked ``@expensive`` may be executed again only to restore what others need.
        since : path, dict or nbformat.NotebookNode, optional
            The notebook as the kernel has executed it, all of it; without it, what `executed` was told counts.

        Returns
        -------
        Plan
            What would be executed, and what not.

        Raises
        ------
        NotFoundError, CorruptError, SystemCallError
            Where the notebook is not there, is none, or cannot be read.
        InvalidRequestError
            Where there is no such mode or target, ``append`` finds an executed cell changed, or no notebook was given yet.
        """
        return self._preview(Plan, notebook, mode, targets, allow_expensive, since)

    plan = waits(_plan)
    aplan = awaits(_plan)

    def _stale(self, notebook: Optional[Notebook] = None) -> Task[List[PlannedCell]]:
        """Finds the cells that are stale, in notebook order, with what a run would have to restore for them.

        Parameters
        ----------
        notebook : path, dict or nbformat.NotebookNode, optional
            The notebook; else the one that was given last.

        Returns
        -------
        list of PlannedCell
            The cells, and why each of them is stale.

        Raises
        ------
        NotFoundError, CorruptError, SystemCallError, InvalidRequestError
            As `analyse`.
        """
        return self._preview(lambda preview: Plan(preview).cells, notebook, "smart", (), False, None)

    stale = waits(_stale)
    astale = awaits(_stale)

    def _graph(self, notebook: Optional[Notebook] = None) -> Task[Any]:
        """Finds which cell reads what from which, for `networkx`.

        Parameters
        ----------
        notebook : path, dict or nbformat.NotebookNode, optional
            The notebook; else the one that was given last.

        Returns
        -------
        networkx.DiGraph or Graph
            As `Graph.to_networkx` where `networkx` is installed; else the `Graph`.

        Raises
        ------
        NotFoundError, CorruptError, SystemCallError, InvalidRequestError
            As `analyse`.
        """
        return self._preview(_for_networkx, notebook, "smart", (), False, None)

    graph = waits(_graph)
    agraph = awaits(_graph)

    def executed(self, cells: Union[None, str, Iterable[str]] = None, *, status: _Status = "ok") -> None:
        """Notes that the kernel has executed cells, as the notebook was when it was last taken.

        Parameters
        ----------
        cells : str or iterable of str, optional
            Their ids, in the order of execution; without them, all that a full run executes.
        status : str
            How that ended: ``ok``, ``error``, ``aborted``, ``interrupted``, ``timed_out`` or ``kernel_died``.

        Raises
        ------
        NotFoundError
            Where the notebook has no such code cell; the others are noted.
        InvalidRequestError
            Where there is no such status.
        """
        if cells is None:
            cells = self.plan(mode="full").ids
        unknown = self._planner.executed(as_list(cells), status)
        if unknown:
            raise NotFoundError(f"the notebook, as it was last taken, has no code cell {', '.join(unknown)}")

    def restarted(self) -> None:
        """Notes that the kernel was restarted: nothing that it held is there any more."""
        self._planner.restarted()

    def _preview(
        self,
        convert: Callable[[Preview], Any],
        notebook: Optional[Notebook],
        mode: str,
        targets: Union[str, Iterable[str]],
        allow_expensive: bool,
        since: Optional[Notebook],
    ) -> Task[Any]:
        if notebook is not None:
            self._notebook = notebook
        if self._notebook is None:
            raise InvalidRequestError("there is no notebook to look at yet; name one")
        options = {"mode": mode, "targets": as_list(targets), "allow_expensive": allow_expensive}
        earlier = None if since is None else notebook_source(since)
        return Task(self._planner.preview(notebook_source(self._notebook), options, earlier), convert)

    def __repr__(self) -> str:
        notebook = self._notebook
        known = "no notebook" if notebook is None else "a notebook" if hasattr(notebook, "keys") else str(notebook)
        return f"<Scheduler of {known}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        if self._notebook is None:
            return {"text/plain": repr(self)}
        return self.plan()._repr_mimebundle_()


def _for_networkx(preview: Preview) -> Any:
    from importlib.util import find_spec

    graph = Graph(preview)
    return graph.to_networkx() if find_spec("networkx") else graph
