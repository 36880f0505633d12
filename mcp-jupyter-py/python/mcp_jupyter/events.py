"""What happens in a run, as it happens: dictionaries that are told apart by `event["event"]`.

They are what `mcp-jupyter run --json` prints, a line each.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

__all__ = [
    "CellFinished",
    "CellRef",
    "CellSkipped",
    "CellStarted",
    "Escalated",
    "Event",
    "InputRequested",
    "KernelRestarted",
    "KernelStarted",
    "Lagged",
    "OutputCleared",
    "OutputEvent",
    "OutputUpdated",
    "RunFinished",
    "RunStarted",
    "Warned",
]


class CellRef(TypedDict):
    """A cell: its id, and its place among all cells of the notebook, from 0."""

    id: str
    index: int


class RunStarted(TypedDict):
    """The run has begun; `cells` are to be executed, as far as is known."""

    event: Literal["run_started"]
    run_id: str
    kernel: str
    cells: int


class KernelStarted(TypedDict):
    """The kernel answers, after so many seconds."""

    event: Literal["kernel_started"]
    seconds: float


class KernelRestarted(TypedDict):
    """The kernel was dead, and a new one answers."""

    event: Literal["kernel_restarted"]
    seconds: float


class CellSkipped(TypedDict):
    """A cell that will not be executed, why, and the cell that blocks it where one does."""

    event: Literal["cell_skipped"]
    cell: CellRef
    reason: Any
    via: Optional[str]


class CellStarted(TypedDict):
    """A cell's code has been sent to the kernel; `position` executions come before it."""

    event: Literal["cell_started"]
    cell: CellRef
    position: int
    reason: Any


class OutputEvent(TypedDict):
    """A cell has a new output, as nbformat has it; a stream output carries the new text only."""

    event: Literal["output"]
    cell: CellRef
    output: Dict[str, Any]


class OutputCleared(TypedDict):
    """The code has cleared the outputs of a cell."""

    event: Literal["output_cleared"]
    cell: CellRef


class OutputUpdated(TypedDict):
    """An earlier output of a cell was replaced; `output` is its place among the cell's outputs, from 0."""

    event: Literal["output_updated"]
    cell: CellRef
    output: int


class InputRequested(TypedDict):
    """The code asks for input."""

    event: Literal["input_requested"]
    id: str
    cell: CellRef
    prompt: str
    password: bool


class Escalated(TypedDict):
    """The kernel is made to stop what it executes."""

    event: Literal["escalated"]
    cell: CellRef
    step: Literal["interrupt", "kill"]


class CellFinished(TypedDict):
    """The execution of a cell has ended; `accepted` says whether the run goes on as if it had succeeded."""

    event: Literal["cell_finished"]
    cell: CellRef
    outcome: Dict[str, Any]
    accepted: bool
    execution_count: int
    seconds: float


class Warned(TypedDict):
    """Something that the user should know and that stops nothing."""

    event: Literal["warning"]
    message: str


class Lagged(TypedDict):
    """So many events about outputs were left out because they were read too slowly; the notebook has them all."""

    event: Literal["lagged"]
    missed: int


class RunFinished(TypedDict):
    """The run has ended and the notebook is saved."""

    event: Literal["run_finished"]
    outcome: Dict[str, Any]
    seconds: float


Event = Union[
    RunStarted,
    KernelStarted,
    KernelRestarted,
    CellSkipped,
    CellStarted,
    OutputEvent,
    OutputCleared,
    OutputUpdated,
    InputRequested,
    Escalated,
    CellFinished,
    Warned,
    Lagged,
    RunFinished,
]
"""Any event."""

Events = List[Event]
