"""Times `mcp-jupyter run` against the bare client and other runners, in turn within each repetition.

    python benches/compare.py [CASE ...] [--repetitions N] [--runners NAME ...] [--binary PATH] [--json FILE] [--list]

Run it with a Python that has ipykernel and the peers (`pip install ipykernel nbclient pynb-cli papermill`); the kernel
that all of them start is this Python's `python3`. Every output is checked for completeness: a run that lost something
fails, however fast it was. Medians are printed with their ratios, and whether each target is met. Exit code 1 if not.
papermill saves the whole notebook before and after each cell, so it takes part only when it is named.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

import cases
import runners
from cases import Case
from runners import Measurement

OURS = "mcp-jupyter"
FLOOR_RATIO = 1.10
SMALL_MEGABYTES = 15
MEMORY_RATIO = 2
CPU_MICROSECONDS = 10
# Below this many messages the processor time is that of starting, not of messages.
MANY_MESSAGES = 10_000
DEFAULT_RUNNERS = ["floor", OURS, "jupyter-execute", "nb-cli"]

Results = dict[str, list[Measurement]]


def isolate(folder: pathlib.Path) -> None:
    """Lets every runner find this Python's kernel, and no other's settings or state."""
    prefix = pathlib.Path(sys.prefix)
    os.environ["VIRTUAL_ENV"] = str(prefix)
    os.environ["PATH"] = f"{prefix / 'bin'}:{os.environ['PATH']}"
    os.environ["JUPYTER_PATH"] = str(prefix / "share/jupyter")
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    os.environ["PYTHONWARNINGS"] = "ignore"


def run_case(case: Case, chosen: list, repetitions: int) -> Results:
    """Runs one case; within a repetition each runner has its turn."""
    results: Results = {runner.name: [] for runner in chosen}
    for repetition in range(repetitions):
        # Who goes first changes, so that nobody always finds the caches warm.
        turn = repetition % len(chosen)
        for runner in chosen[turn:] + chosen[:turn]:
            with tempfile.TemporaryDirectory(prefix="compare-") as folder:
                measurement = runner.measure(case, pathlib.Path(folder))
            results[runner.name].append(measurement)
            progress(case, runner.name, repetition, measurement)
    return results


def progress(case: Case, name: str, repetition: int, measurement: Measurement) -> None:
    """Says on stderr that a run has ended."""
    ending = f"FAILED: {measurement.complaint}" if measurement.complaint else f"{measurement.seconds:.2f} s"
    print(f"  {case.name} #{repetition + 1} {name}: {ending}", file=sys.stderr)


def median(measurements: list[Measurement], figure: str) -> float | None:
    """The median of a figure over the repetitions."""
    values = [value for measurement in measurements if (value := getattr(measurement, figure)) is not None]
    return statistics.median(values) if values else None


def summary(case: Case, results: Results) -> dict:
    """The medians of each runner, and what failed."""
    by_runner = {
        name: {
            "seconds": median(measurements, "seconds"),
            "fastest": min(measurement.seconds for measurement in measurements),
            "slowest": max(measurement.seconds for measurement in measurements),
            "cpu_seconds": median(measurements, "cpu_seconds"),
            "peak_megabytes": median(measurements, "peak_megabytes"),
            "failures": [measurement.complaint for measurement in measurements if measurement.complaint],
            "runs": len(measurements),
        }
        for name, measurements in results.items()
    }
    messages = median(results["floor"], "messages") if "floor" in results else None
    return {"case": case.name, "runners": by_runner, "messages": messages}


def verdicts(case: Case, result: dict) -> list[tuple[str, float, float]]:
    """The targets of our runner in this case: what, the figure, and the limit that it must not exceed."""
    by_runner, messages = result["runners"], result["messages"]
    ours = by_runner.get(OURS)
    if not ours:
        return []
    limits = {"floor": FLOOR_RATIO, "jupyter-execute": case.versus_execute, "nb-cli": 1.0}
    checks = [
        (f"x {name}", ours["seconds"] / by_runner[name]["seconds"], limit)
        for name, limit in limits.items()
        if limit and name in by_runner and len(by_runner[name]["failures"]) < by_runner[name]["runs"]
    ]
    memory = max(SMALL_MEGABYTES, MEMORY_RATIO * case.output_bytes / cases.MEGABYTE)
    checks.append(("MB", ours["peak_megabytes"], memory))
    if messages and messages >= MANY_MESSAGES:
        checks.append(("us/message", ours["cpu_seconds"] / messages * 1e6, CPU_MICROSECONDS))
    checks.append(("failed runs", len(ours["failures"]), 0))
    return checks


def flatness(results: list[dict]) -> list[str]:
    """The time that a further cell takes, early and late in a notebook, for every runner that ran all lengths."""
    by_case = {result["case"]: result["runners"] for result in results}
    lengths = [100, 1000, 5000]
    lengthy = [by_case.get(f"cells-{length}") for length in lengths]
    if not all(lengthy):
        return []
    lines = []
    for name in lengthy[0]:
        times = [runners_of_case[name]["seconds"] for runners_of_case in lengthy]
        early, late = (1000 * (times[i + 1] - times[i]) / (lengths[i + 1] - lengths[i]) for i in (0, 1))
        lines.append(f"{name:16} {early:6.2f} ms a cell from 100 to 1,000, {late:6.2f} ms from 1,000 to 5,000: x {late / early:.2f}")
    return lines


def print_case(case: Case, result: dict) -> bool:
    """Prints one case; whether all targets are met."""
    print(f"\n{case.name}" + (f" ({result['messages']:.0f} iopub messages)" if result["messages"] else ""))
    by_runner = result["runners"]
    for name, figures in by_runner.items():
        ratios = "".join(
            f"  {figures['seconds'] / by_runner[other]['seconds']:5.2f} x {other}"
            for other in ("floor", "jupyter-execute", "nb-cli")
            if other in by_runner and other != name
        )
        memory = f"{figures['peak_megabytes']:7.1f} MB" if figures["peak_megabytes"] is not None else " " * 10
        spread = f"[{figures['fastest']:.2f}..{figures['slowest']:.2f}]"
        print(f"  {name:16}{figures['seconds']:8.2f} s {spread:16} cpu {figures['cpu_seconds']:6.2f} s {memory}{ratios}")
        for complaint in figures["failures"]:
            print(f"    FAILED: {complaint}")
    checks = verdicts(case, result)
    for what, figure, limit in checks:
        print(f"  {'pass' if figure <= limit else 'FAIL'}  {figure:.2f} {what} (at most {limit:g})")
    return all(figure <= limit for _, figure, limit in checks)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="the cases to run (default: all)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--runners", nargs="+", default=DEFAULT_RUNNERS)
    binary = runners.HERE.parent / "target/release/mcp-jupyter"
    parser.add_argument("--binary", type=pathlib.Path, default=binary)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there as well")
    parser.add_argument("--list", action="store_true", help="list the cases and the runners that are installed")
    return parser.parse_args()


def main() -> int:
    """Runs what was asked for; 0 if every target is met."""
    options = arguments()
    installed = runners.available(options.binary)
    known = {case.name: case for case in cases.CASES}
    if options.list:
        print("cases:  ", *known, "\nrunners:", *installed)
        return 0
    unknown = [name for name in options.cases if name not in known] + [name for name in options.runners if name not in installed]
    if unknown:
        print(f"no such case or runner: {', '.join(unknown)} (see --list)", file=sys.stderr)
        return 2
    results, passed = [], True
    with tempfile.TemporaryDirectory(prefix="compare-home-") as home:
        isolate(pathlib.Path(home))
        for case in [known[name] for name in options.cases] or cases.CASES:
            result = summary(case, run_case(case, [installed[name] for name in options.runners], options.repetitions))
            results.append(result)
            passed &= print_case(case, result)
    lines = flatness(results)
    print("", *lines, sep="\n")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
