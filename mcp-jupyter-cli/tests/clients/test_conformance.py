"""MCP's own conformance suite, with no failure expected."""

import re
from pathlib import Path

import node
import pytest


@pytest.mark.parametrize(
    ("version", "scenarios", "arguments"),
    [
        ("0.1.16", 30, ["--suite", "active"]),
        ("0.2.0-alpha.12", 37, ["--requirements", "2026-07-28"]),
        ("0.2.0-alpha.12", 30, ["--requirements", "2025-11-25"]),
    ],
)
def test_nothing_fails(listen, tmp_path: Path, version: str, scenarios: int, arguments: list[str]) -> None:
    server = listen("--conformance-fixtures", "--no-token")
    done = node.run(node.CONFORMANCE[version], "server", "--url", server.url, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.split("=== SUMMARY ===")[1].split("Total:")[0]
    # Extensions of the protocol are run, too, but nobody has to have them.
    passed = re.findall(r"^✓ (\S+): [1-9]\d* passed, 0 failed$", summary, re.MULTILINE)
    assert len(passed) >= scenarios, done.stdout
