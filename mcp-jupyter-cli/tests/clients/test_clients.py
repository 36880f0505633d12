"""Clients that others have written make, fill, run, mend and read a notebook on a real kernel."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastmcp
import mcp
import node
import pytest
from conftest import PROGRAM, Lab, Listening
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


@dataclass
class Told:
    """What a tool has answered."""

    text: str
    structured: dict[str, Any]
    is_error: bool


Call = Callable[[str, dict[str, Any]], Awaitable[Told]]


def told(result: Any) -> Told:
    text = "\n".join(block.text for block in result.content if block.type == "text")
    structured = result.structured_content or {}
    return Told(text, structured, bool(result.is_error))


def authorization(server: Listening) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"}


@asynccontextmanager
async def python_sdk(lab: Lab, server: Listening | None, mode: str, **more: Any):
    if server is None:
        parameters = mcp.StdioServerParameters(command=PROGRAM, args=lab.arguments(), env=lab.environment)
        async with mcp.Client(parameters, mode=mode, **more) as client:
            yield client
        return
    async with create_mcp_http_client(headers=authorization(server)) as http:
        transport = streamable_http_client(server.url, http_client=http)
        async with mcp.Client(transport, mode=mode, **more) as client:
            yield client


@asynccontextmanager
async def sdk(lab: Lab, server: Listening | None):
    async with python_sdk(lab, server, "auto") as client:
        assert client.protocol_version == "2026-07-28"
        yield lambda tool, arguments: call_sdk(client, tool, arguments)


@asynccontextmanager
async def sdk_with_sessions(lab: Lab, server: Listening | None):
    async with python_sdk(lab, server, "legacy") as client:
        assert client.protocol_version == "2025-11-25"
        yield lambda tool, arguments: call_sdk(client, tool, arguments)


async def call_sdk(client: mcp.Client, tool: str, arguments: dict[str, Any]) -> Told:
    return told(await client.call_tool(tool, arguments))


@asynccontextmanager
async def fast(lab: Lab, server: Listening | None):
    if server is None:
        transport = StdioTransport(PROGRAM, lab.arguments(), env=lab.environment)
    else:
        transport = StreamableHttpTransport(server.url, headers=authorization(server))

    async with fastmcp.Client(transport) as client:

        async def call(tool: str, arguments: dict[str, Any]) -> Told:
            return told(await client.call_tool(tool, arguments, raise_on_error=False))

        yield call


@asynccontextmanager
async def inspector(lab: Lab, server: Listening | None):
    """One process, and one connection, a call."""

    async def call(tool: str, arguments: dict[str, Any]) -> Told:
        named = [f"{name}={json.dumps(value)}" for name, value in arguments.items()]
        method = ["--method", "tools/call", "--tool-name", tool, *(f"--tool-arg={pair}" for pair in named)]
        if server is None:
            variables = [word for name, value in lab.environment.items() for word in ("-e", f"{name}={value}")]
            target = [*variables, "--", PROGRAM, *lab.arguments()]
        else:
            header = f"Authorization: Bearer {server.token}"
            target = [server.url, "--transport", "http", "--header", header]
        done = await asyncio.to_thread(node.run, node.INSPECTOR, "--cli", *method, *target, cwd=lab.folder)
        result = json.loads(done.stdout or "null")
        assert result is not None, done.stderr
        text = "\n".join(block["text"] for block in result["content"] if block["type"] == "text")
        return Told(text, result.get("structuredContent", {}), result.get("isError", False))

    yield call


async def drive(call: Call, root: Path) -> None:
    path = {"path": "a.ipynb"}
    made = await call("notebook_create", path | {"cells": [{"source": "x = 6"}, {"source": "print(x * 7)"}]})
    assert not made.is_error, made.text
    ran = await call("run", path)
    assert ran.structured["state"] == "completed" and "42" in ran.text, ran.text

    failed = await call("edit_and_run", path | {"source": "1 / (x - 6)", "id": "bad"})
    assert failed.is_error and "ZeroDivisionError" in failed.text, failed.text
    edit = {"op": "replace_text", "cell": "bad", "old": "x - 6", "new": "x - 5"}
    edited = await call("notebook_edit", path | {"edits": [edit]})
    assert edited.structured["stale"] == ["bad"], edited.text
    again = await call("run", path)
    assert [cell["id"] for cell in again.structured["cells"]] == ["bad"], again.text

    status = await call("run_status", {"run_id": again.structured["run_id"]})
    assert status.structured["state"] == "completed", status.text
    seen = await call("notebook_read", path)
    assert "1 / (x - 5)" in seen.text, seen.text
    notebook = json.loads((root / "a.ipynb").read_text())
    assert notebook["cells"][2]["outputs"][0]["data"]["text/plain"] == ["1.0"]


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("client", [sdk, sdk_with_sessions, fast, inspector])
def test_a_client_works_in_a_notebook(lab: Lab, listen, client, transport: str) -> None:
    server = listen() if transport == "http" else None

    async def work() -> None:
        async with client(lab, server) as call:
            await drive(call, lab.root)

    asyncio.run(work())


def test_new_output_is_progress(lab: Lab, listen) -> None:
    server = listen()
    messages: list[str] = []

    async def hear(_progress: float, _total: float | None, message: str | None) -> None:
        messages.append(message or "")
        if "first" in messages[-1]:
            (lab.root / "go").touch()

    async def work() -> mcp.types.CallToolResult:
        async with python_sdk(lab, server, "auto") as client:
            source = "import os\nprint('first', flush=True)\nwhile not os.path.exists('go'):\n    pass\nprint('last')"
            await client.call_tool("notebook_create", {"path": "a.ipynb", "cells": [{"source": source}]})
            return await client.call_tool(
                "run", {"path": "a.ipynb", "wait_seconds": 60}, progress_callback=hear
            )

    result = asyncio.run(work())
    assert result.structured_content["state"] == "completed"
    assert any("first" in message and "last" not in message for message in messages), messages


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_log_tells_of_cells_to_whoever_listens(lab: Lab, listen, mode: str) -> None:
    server = listen()

    async def run(level: mcp.LoggingLevel | None, path: str) -> list[dict[str, Any]]:
        """What is heard until the failure of a cell, if anything has to be."""
        heard: list[dict[str, Any]] = []
        failure = asyncio.Event()

        async def hear(params: mcp.types.LoggingMessageNotificationParams) -> None:
            heard.append(params.data | {"level": params.level})
            if params.level == "error":
                failure.set()

        wanted = {"log_level": level} if mode == "auto" else {}
        async with python_sdk(lab, server, mode, logging_callback=hear, **wanted) as client:
            if mode == "legacy" and level is not None:
                await client.set_logging_level(level)
            made = await client.call_tool("notebook_create", {"path": path, "cells": [{"source": "x = 1"}]})
            assert not made.is_error
            ran = await client.call_tool("edit_and_run", {"path": path, "source": "1 / (x - 1)", "id": "bad"})
            assert ran.is_error and "ZeroDivisionError" in told(ran).text
            if level is not None:
                # Sessions have a stream for what belongs to no request.
                await failure.wait()
        return heard

    assert asyncio.run(run(None, "a.ipynb")) == []
    errors = asyncio.run(run("error", "b.ipynb"))
    assert [(entry["level"], entry["cell"]) for entry in errors] == [("error", "bad")]
    entries = asyncio.run(run("debug", "c.ipynb"))
    cells = [(entry["level"], entry["message"], entry["notebook"]) for entry in entries if "cell" in entry]
    assert cells == [("info", "ok", "c.ipynb"), ("error", "error", "c.ipynb")]
