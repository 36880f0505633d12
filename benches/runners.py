"""The programs that run notebooks, and how one run of each is measured.

Linux only: a run's own processor time and memory are read from /proc, so that the kernel's are not among them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import floor
from cases import Case

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.005
# A kernel that hangs when it is shut down says nothing about the floor.
FLOOR_ATTEMPTS = 3


@dataclasses.dataclass
class Measurement:
    """One run of one case by one runner. With several copies: the processor time of all, the peak of the largest."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float | None
    complaint: str | None = None
    messages: int | None = None


@dataclasses.dataclass(frozen=True)
class Runner:
    """A program that executes the notebook `source` and leaves the result in `target`."""

    name: str
    command: Callable[[pathlib.Path, pathlib.Path], list[str]]
    in_place: bool = False

    def prepare(self, case: Case, folder: pathlib.Path, copy: int) -> tuple[list[str], pathlib.Path]:
        """Writes the notebook; gives the command and the path of the result."""
        source = folder / f"{case.name}-{copy}.ipynb"
        target = folder / f"{case.name}-{copy}-{self.name}.ipynb"
        case.write(target if self.in_place else source)
        return self.command(source, target), target

    def measure(self, case: Case, folder: pathlib.Path) -> Measurement:
        """Runs all copies of the case at once and checks every result."""
        prepared = [self.prepare(case, folder, copy) for copy in range(case.copies)]
        begin = time.perf_counter()
        processes = [Process(command, folder) for command, _ in prepared]
        endings = [process.wait() for process in processes]
        seconds = time.perf_counter() - begin
        complaints = [complaint for process, (_, target) in zip(processes, prepared) if (complaint := fault(case, process, target))]
        return Measurement(
            seconds,
            sum(ending.cpu_seconds for ending in endings),
            max(ending.peak_megabytes for ending in endings),
            "; ".join(complaints[:2]) or None,
        )


def fault(case: Case, process: "Process", target: pathlib.Path) -> str | None:
    """What is wrong with a run that has ended."""
    if process.exit_code:
        return f"exit code {process.exit_code}: {process.last_words()}"
    return case.check(target)


@dataclasses.dataclass
class Ending:
    """What /proc said about a process when it ended."""

    cpu_seconds: float
    peak_megabytes: float


class Process:
    """A runner's process, watched from its start to its end."""

    def __init__(self, command: list[str], folder: pathlib.Path) -> None:
        self.log = (folder / f"log-{id(self)}").open("w+b")
        self.popen = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        self.exit_code: int | None = None
        self.peak_kilobytes = 0
        self.ended = threading.Event()
        self.sampler = threading.Thread(target=self._sample)
        self.sampler.start()

    def _sample(self) -> None:
        # The peak is gone with the memory when the process ends, and the kernel's own accounting (wait4) mixes it with
        # that of the children; VmHWM only grows, so a late sample has it.
        status = pathlib.Path(f"/proc/{self.popen.pid}/status")
        while not self.ended.wait(SAMPLE_SECONDS):
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_kilobytes = int(line.split()[1])

    def wait(self) -> Ending:
        """Waits for the end; the process's times are read while it is a zombie, apart from its children's."""
        os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOWAIT)
        self.ended.set()
        self.sampler.join()
        fields = pathlib.Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        self.exit_code = self.popen.wait()
        return Ending((user + system) / TICKS, self.peak_kilobytes / 1000)

    def last_words(self) -> str:
        """The last line of its standard error."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(nothing on stderr)"


class Floor:
    """The bare client; its interpreter's own start does not count."""

    name = "floor"

    def measure(self, case: Case, folder: pathlib.Path) -> Measurement:
        """Runs all copies in one process."""
        notebook = folder / f"{case.name}-floor.ipynb"
        case.write(notebook)
        command = [sys.executable, str(HERE / "floor.py"), str(notebook), "--copies", str(case.copies)]
        for _ in range(FLOOR_ATTEMPTS):
            done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False)
            if done.returncode != floor.KERNEL_HUNG:
                break
        done.check_returncode()
        figures = json.loads(done.stdout)
        complaint = None
        if figures["bytes"] < case.output_bytes * case.copies:
            complaint = f"only {figures['bytes']} bytes came"
        return Measurement(figures["seconds"], figures["cpu"], None, complaint, figures["messages"])


def script(name: str) -> str | None:
    """A program installed beside this Python."""
    return shutil.which(name, path=str(pathlib.Path(sys.executable).parent))


def available(binary: pathlib.Path) -> dict[str, Floor | Runner]:
    """The runners that are installed, by name, in the order of their turns."""
    runners: list[Floor | Runner] = [Floor()]
    if binary.exists():
        ours = str(binary.resolve())
        runners.append(Runner("mcp-jupyter", lambda source, target: [ours, "run", str(source), "-o", str(target), "--quiet"]))
    if execute := script("jupyter-execute"):
        # Its --output is a name without a folder, beside the input.
        runners.append(Runner("jupyter-execute", lambda source, target: [execute, f"--output={target.name}", str(source)]))
    if nb := script("nb"):
        timeout = ["--timeout", "3600"]
        runners.append(Runner("nb-cli", lambda source, target: [nb, "execute", *timeout, str(target)], in_place=True))
    if papermill := script("papermill"):
        quiet = ["--no-progress-bar", "--kernel", "python3"]
        runners.append(Runner("papermill", lambda source, target: [papermill, *quiet, str(source), str(target)]))
    return {runner.name: runner for runner in runners}
