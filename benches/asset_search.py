"""Times `mcp-jupyter assets search` against grep on a large text.

    python benches/asset_search.py [--binary PATH] [--megabytes N] [--repetitions N] [--folder FOLDER]

A text is put into a new directory store, under its digest, as the store itself would do it, and searched for patterns
that a few lines match, by both in turn. Prints the medians, their ratio to `grep -c`, and the peak memory of ours. Exit
code 1 if a literal takes more than twice as long as grep, a search finds other lines, or memory exceeds 64 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

RATIO = 2.0
MEMORY_MEGABYTES = 64
BLOCK_LINES = 50_000
# Where a directory store keeps the bytes of an asset.
ASSET_PATH = "sha256/{start}/{digest}"
# Description, pattern for both, arguments of grep, arguments of ours, whether the ratio is a target.
CASES = [
    ("literal", "ERROR", ["-F"], [], True),
    ("literal, any case", "error", ["-F", "-i"], ["--ignore-case"], False),
    ("regex", r"ERROR step=[0-9]+ loss", ["-E"], ["--regex"], False),
]


def write_text(path: pathlib.Path, size: int) -> str:
    """Writes lines of a log, of which one in a million tells of an error; gives the digest."""
    digest = hashlib.sha256()
    number = written = 0
    with path.open("wb") as file:
        while written < size:
            numbers = range(number, number + BLOCK_LINES)
            block = "".join(line(each) for each in numbers).encode()
            file.write(block)
            digest.update(block)
            number += BLOCK_LINES
            written += len(block)
    return digest.hexdigest()


def line(number: int) -> str:
    """One line of the log."""
    level = "ERROR" if number % 1_000_000 == 999_999 else "info"
    return f"2026-01-01T00:00:00 {level} step={number} loss=0.{number % 999_983:06}\n"


def timed(command: list[str]) -> tuple[float, int, bytes]:
    """Seconds, peak memory in KiB, and output of a command; C locale, so that grep compares bytes."""
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env={**os.environ, "LC_ALL": "C"})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{command[0]} ended with exit code {process.returncode}")
        output.seek(0)
        return seconds, usage.ru_maxrss, output.read()


def main() -> None:
    """Reads the command line, makes the store, runs the cases, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="mcp-jupyter")
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", help="where the text is written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        sys.exit(0 if compare(arguments, pathlib.Path(folder)) else 1)


def compare(arguments: argparse.Namespace, folder: pathlib.Path) -> bool:
    """Whether all targets are met."""
    text = folder / "text"
    digest = write_text(text, arguments.megabytes << 20)
    store = folder / "store"
    asset = store / ASSET_PATH.format(start=digest[:2], digest=digest)
    asset.parent.mkdir(parents=True)
    text.rename(asset)
    is_met = True
    for name, pattern, grep_options, our_options, is_target in CASES:
        grep = ["grep", "-c", *grep_options, "-e", pattern, str(asset)]
        ours = [arguments.binary, "assets", "search", "--store", str(store), *our_options, f"sha256:{digest}", pattern]
        theirs, own = [], []
        memory = 0
        for _ in range(arguments.repetitions):
            seconds, _, counted = timed(grep)
            theirs.append(seconds)
            seconds, peak, found = timed(ours)
            own.append(seconds)
            memory = max(memory, peak >> 10)
            is_met &= found.count(b"ERROR") == int(counted)
        ratio = statistics.median(own) / statistics.median(theirs)
        is_met &= memory <= MEMORY_MEGABYTES and (ratio <= RATIO or not is_target)
        print(f"{name}: {statistics.median(own):.3f} s, grep {statistics.median(theirs):.3f} s, {ratio:.2f} x, {memory} MB")
    return is_met


if __name__ == "__main__":
    main()
