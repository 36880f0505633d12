"""Runs notebooks with nbclient and with `mcp-jupyter run`, and compares the results cell by cell.

    python mcp-jupyter-cli/tests/agreement/agreement.py [NAME ...] [--binary PATH] [--self-check] [--quick] [--list]

Run it with a Python that has ipykernel, nbclient, ipywidgets and pandas. The notebooks are those of nbclient's and
papermill's own tests, taken from their source distributions on PyPI, and those of `notebooks.py`. Each is run as it is
and, where a cell of it fails, with `--allow-errors` too (not with `--quick`). A disagreement that `known.json` does not
explain is printed as a diff; then the exit code is 1. `--self-check` compares nbclient with itself, which shows that
the comparison sees no difference where there is none.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import difflib
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

import nbformat
from normal_form import normal_form
from notebooks import MADE

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PEERS = {"nbclient": "0.11.0", "papermill": "2.7.0"}
# What an outcome that depends on timing, such as two streams written at once, gets until it counts as a disagreement.
ATTEMPTS = 3
RUN_SECONDS = 60
NEVER_ENDED = -1
# Notebooks of the peers that their tests interrupt or prepare.
PEER_TIMEOUTS = {"Interrupt": 2, "keyboard_interrupt": 2}
PARALLEL_FILES = {f"test_file_{letter}.txt": f"Hello from {letter}" for letter in "AB"}


@dataclasses.dataclass(frozen=True)
class Task:
    """One notebook, in one mode."""

    name: str
    path: pathlib.Path
    timeout: int | None = None
    allow_errors: bool = False

    @property
    def mode(self) -> str:
        """How it is run, in a word."""
        return "allow-errors" if self.allow_errors else "stop"

    def options(self) -> list[str]:
        """The options of the run, the same for both sides."""
        options = ["--quiet"]
        if not self.names_python() and not self.name.startswith("made/bad-"):
            options += ["--kernel", "python3"]
        if self.timeout:
            options += ["--timeout", str(self.timeout)]
        if self.allow_errors:
            options.append("--allow-errors")
        return options

    def names_python(self) -> bool:
        """Whether the notebook itself says that it is for the kernel python3."""
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"] == "python3"
        except (ValueError, KeyError, TypeError):
            return False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a side made of a task."""

    exit_code: int
    places: dict
    stderr: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Where the sides differ, in every attempt."""

    task: Task
    oracle: Outcome
    ours: Outcome
    places: list[str]
    attempts: int


def run(command: list[str], task: Task) -> Outcome:
    """Runs a task in a folder of its own that holds a copy of the notebook."""
    with tempfile.TemporaryDirectory(prefix="agreement-") as name:
        folder = pathlib.Path(name).resolve()
        for file in task.path.parent.glob("*.png"):
            shutil.copy(file, folder)
        shutil.copy(task.path, folder / "notebook.ipynb")
        for file, content in PARALLEL_FILES.items():
            (folder / file).write_text(content)
        environment = os.environ | {"NBEXECUTE_TEST_PARALLEL_TMPDIR": str(folder)}
        full = [*command, "run", "notebook.ipynb", "-o", "executed.ipynb", *task.options()]
        # A file, not a pipe: a kernel that is left behind would keep the pipe open.
        with (folder / "stderr").open("wb") as stderr:
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": stderr}
            try:
                exit_code = subprocess.run(full, cwd=folder, env=environment, timeout=RUN_SECONDS, check=False, **streams).returncode
            except subprocess.TimeoutExpired:
                exit_code = NEVER_ENDED
        words = (folder / "stderr").read_text(encoding="utf-8", errors="replace")
        return Outcome(exit_code, executed_places(folder, task), words)


def run_to_its_end(command: list[str], task: Task) -> Outcome:
    """Runs a task with nbclient, which sometimes waits for good after it has updated an Output widget: it sends on the
    socket on which it awaits the reply, and so misses that the reply is there."""
    for _ in range(ATTEMPTS):
        outcome = run(command, task)
        if outcome.exit_code != NEVER_ENDED:
            break
    return outcome


def executed_places(folder: pathlib.Path, task: Task) -> dict:
    """The comparable places of the executed notebook; none where there is no file."""
    try:
        executed = json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))
    except OSError:
        return {"file": "none"}
    except ValueError as error:
        return {"file": f"not a notebook: {error}"}
    valid = is_valid(executed)
    return {"valid": valid} | normal_form(without_given_ids(executed, task.path), str(folder))


def is_valid(executed: dict) -> bool:
    """Whether nbformat's schema accepts the notebook."""
    try:
        nbformat.validate(nbformat.from_dict(executed))
    except nbformat.ValidationError:
        return False
    return True


def without_given_ids(executed: dict, source: pathlib.Path) -> dict:
    """Hides ids that the runner had to invent: only that there is one is compared."""
    given = {cell.get("id") for cell in json.loads(source.read_text(encoding="utf-8")).get("cells", [])}
    seen = set()
    for cell in executed["cells"]:
        if "id" in cell and (cell["id"] not in given or cell["id"] in seen):
            cell["id"] = "<given>"
        seen.add(cell.get("id"))
    return executed


def differing(oracle: Outcome, ours: Outcome) -> set[str]:
    """The places in which two outcomes differ."""
    places = {place for place in oracle.places.keys() | ours.places.keys() if oracle.places.get(place) != ours.places.get(place)}
    if oracle.exit_code != ours.exit_code:
        places.add("exit code")
    return places


def judge(task: Task, ours_command: list[str], oracle_command: list[str]) -> Verdict:
    """Compares the sides until they agree; keeps the places that differ every time."""
    always: set[str] | None = None
    for attempt in range(1, ATTEMPTS + 1):
        oracle, ours = run_to_its_end(oracle_command, task), run(ours_command, task)
        places = differing(oracle, ours)
        always = places if always is None else always & places
        if not always:
            break
    return Verdict(task, oracle, ours, sorted(always), attempt)


def diff(verdict: Verdict, place: str) -> str:
    """What the sides have in one place."""
    if place == "exit code":
        return f"-{verdict.oracle.exit_code}: {verdict.oracle.stderr[-300:]}\n+{verdict.ours.exit_code}: {verdict.ours.stderr[-300:]}"
    sides = [json.dumps(side.places.get(place, "<nothing>"), indent=1, ensure_ascii=False) for side in (verdict.oracle, verdict.ours)]
    lines = [side.replace("\\n", "\\n\n").splitlines() for side in sides]
    return "\n".join(list(difflib.unified_diff(*lines, "nbclient", "mcp-jupyter", lineterm="", n=2))[:60])


class Known:
    """The disagreements that are explained, and which of them have been seen."""

    def __init__(self, entries: list[dict[str, str]]) -> None:
        self.entries = entries
        self.seen: set[int] = set()

    def reason(self, task: Task, place: str) -> str | None:
        """Why the sides may differ there."""
        for i, entry in enumerate(self.entries):
            patterns = (entry["notebook"], entry["mode"], entry["place"])
            if all(matches(value, pattern) for value, pattern in zip((task.name, task.mode, place), patterns)):
                self.seen.add(i)
                return entry["reason"]
        return None

    def unseen(self) -> list[dict]:
        """The entries that explain nothing any more."""
        return [entry for i, entry in enumerate(self.entries) if i not in self.seen]


def matches(value: str, pattern: str) -> bool:
    """Whether a value fits a pattern with `*`; brackets stand for themselves."""
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def peer_notebooks(folder: pathlib.Path) -> list[Task]:
    """The test notebooks of the peers, downloaded where they are not yet there."""
    tasks = []
    for peer, version in PEERS.items():
        target = folder / f"{peer}-{version}"
        if not target.is_dir():
            fetch(peer, version, folder)
        for path in sorted(target.rglob("*.ipynb")):
            tasks.append(Task(f"{peer}/{path.stem}", path, PEER_TIMEOUTS.get(path.stem)))
    if not tasks:
        raise SystemExit(f"no notebook in the source distributions in {folder}")
    return tasks


def fetch(peer: str, version: str, folder: pathlib.Path) -> None:
    """Downloads and unpacks one source distribution."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), f"{peer}=={version}"], check=True)
    with tarfile.open(folder / f"{peer}-{version}.tar.gz") as archive:
        archive.extractall(folder, filter="data")


def made_notebooks(folder: pathlib.Path) -> list[Task]:
    """The notebooks that are made here."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Task(f"made/{made.name}", made.write(folder), made.timeout) for made in MADE]


def report(verdict: Verdict, known: Known) -> bool:
    """Prints one verdict; whether every disagreement is explained."""
    reasons = {place: known.reason(verdict.task, place) for place in verdict.places}
    unexplained = [place for place, reason in reasons.items() if reason is None]
    word = "DIFFERS" if unexplained else "explained" if reasons else "agrees"
    steady = f", at attempt {verdict.attempts}" if verdict.attempts > 1 and not reasons else ""
    print(f"{word:9} {verdict.task.name} ({verdict.task.mode}; exit code {verdict.oracle.exit_code}{steady})")
    for place, reason in reasons.items():
        print(f"    {place}: {reason or 'unexplained'}")
        if reason is None:
            print("        " + diff(verdict, place).replace("\n", "\n        "))
    sys.stdout.flush()
    return not unexplained


def isolate(folder: pathlib.Path) -> None:
    """Gives both sides this Python's kernel and nobody's settings."""
    prefix = pathlib.Path(sys.prefix)
    os.environ |= {
        "VIRTUAL_ENV": str(prefix),
        "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}",
        "JUPYTER_PATH": str(prefix / "share/jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "80",
        "LINES": "24",
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks to run, * allowed (default: all)")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/mcp-jupyter")
    parser.add_argument("--self-check", action="store_true")
    parser.add_argument("--quick", action="store_true", help="leave out the second run of notebooks that fail")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--downloads", type=pathlib.Path, default=ROOT / "target/agreement")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def compare(tasks: list[Task], options: argparse.Namespace, known: Known) -> tuple[int, int]:
    """Runs and reports all tasks; how many there were, and in how many something is unexplained."""
    oracle = [sys.executable, str(HERE / "nbclient_runner.py")]
    ours = oracle if options.self_check else [str(options.binary.resolve())]
    count = bad = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        while tasks:
            follow_up = []
            for verdict in pool.map(lambda task: judge(task, ours, oracle), tasks):
                count += 1
                bad += not report(verdict, known)
                if verdict.oracle.exit_code == 1 and not verdict.task.allow_errors and not options.quick:
                    follow_up.append(dataclasses.replace(verdict.task, allow_errors=True))
            tasks = follow_up
    return count, bad


def main() -> int:
    """Compares what was asked for; 0 if nothing is unexplained."""
    options = arguments()
    tasks = made_notebooks(options.downloads / "made") + peer_notebooks(options.downloads)
    if options.names:
        tasks = [task for task in tasks if any(matches(task.name, pattern) for pattern in options.names)]
    if options.list:
        print(*(task.name for task in tasks), sep="\n")
        return 0
    if not tasks or not (options.self_check or options.binary.exists()):
        print("no such notebook (see --list)" if not tasks else f"no program at {options.binary}", file=sys.stderr)
        return 2
    known = Known([] if options.self_check else json.loads((HERE / "known.json").read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory(prefix="agreement-home-") as home:
        isolate(pathlib.Path(home))
        count, bad = compare(tasks, options, known)
    print(f"{count} runs compared, {bad} with disagreements that nothing explains")
    if not options.names and not options.quick and (unseen := known.unseen()):
        print("explained disagreements that no longer occur:", json.dumps(unseen, indent=1), sep="\n")
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
