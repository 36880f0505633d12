"""The MCP server beside jupyter-mcp-server: the first answer, a trivial cell, memory, many notebooks; prints the ratios.

    python3 -m venv /tmp/theirs
    /tmp/theirs/bin/pip install jupyter-mcp-server==2.2.4 jupyterlab==4.6.6 jupyter-collaboration==5.0.4
    .venv/bin/python benches/mcp_servers.py --theirs /tmp/theirs --cells 20 --notebooks 50

It needs a release build: cargo build --release -p mcp-jupyter-cli. Both servers speak over standard input and output, and
both have ipykernel; the other one needs a Jupyter server besides, whose start is not counted.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = "6 * 7"


class Connection:
    """A server as a process, spoken to over its standard input and output."""

    def __init__(self, command, environment, folder):
        begun = time.perf_counter()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, cwd=folder, text=True, **pipes)
        self.last = 0
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        self.answer(self.ask("initialize", client))
        self.seconds_to_initialize = time.perf_counter() - begun
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.send({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        return self.last

    def ask_tool(self, tool, arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def message(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the server has ended")
        return json.loads(line)

    def answer(self, request):
        while (message := self.message()).get("id") != request:
            pass
        return message

    def call(self, tool, **arguments):
        return checked(self.answer(self.ask_tool(tool, arguments)))

    def close(self):
        self.process.stdin.close()
        # Not every server ends with its input.
        self.process.terminate()
        self.process.wait()


def checked(message):
    if "error" in message or message["result"].get("isError"):
        sys.exit(f"a call has failed: {json.dumps(message)[:500]}")
    return message["result"]


def memory(pid):
    """Of a process, in MB: what it has for itself and its part of what it shares."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1000


class Ours:
    """This server."""

    name = "mcp-jupyter"

    def __init__(self, program, python, folder):
        self.command = [program, "serve", "--root", ".", "--python", python]
        self.program, self.folder = program, folder
        self.environment = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "MCP_JUPYTER_STATE_DIR": str(folder / "state"),
        }
        (folder / "run").mkdir()

    def connect(self):
        return Connection(self.command, self.environment, self.folder)

    def open(self, connection, name):
        connection.call("notebook_create", path=f"{name}.ipynb", cells=[])
        connection.call("edit_and_run", path=f"{name}.ipynb", source="1")

    def cell(self, connection, name):
        result = connection.call("edit_and_run", path=f"{name}.ipynb", source=SOURCE)
        assert any("42" in block["text"] for block in result["content"]), result

    def memory(self, connection):
        return memory(connection.process.pid)

    def close(self):
        listed = self._run("sessions", "list", "--json")
        for session in json.loads(listed):
            self._run("stop", session["id"])

    def _run(self, *arguments):
        command = [self.program, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout


class Theirs:
    """jupyter-mcp-server, over a Jupyter server."""

    name = "jupyter-mcp-server"

    def __init__(self, environment, folder):
        programs = environment / "bin"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        self.environment = {"HOME": str(folder), "PATH": f"{programs}:/usr/bin:/bin"}
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=t"]
        command = [programs / "jupyter-lab", *options, f"--ServerApp.root_dir={folder}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # It leaves a database where it is started.
        self.jupyter = subprocess.Popen(command, env=self.environment, cwd=folder, **quiet)
        self._wait()
        self.command = [programs / "jupyter-mcp-server", "start", "--transport", "stdio"]
        for part in ["code-sandbox", "document"]:
            self.command += [f"--{part}-url", self.url, f"--{part}-token", "t"]

    def _wait(self):
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url}/api?token=t").close()
                return
            except urllib.error.URLError:
                time.sleep(0.2)
        sys.exit("the Jupyter server does not answer")

    def connect(self):
        return Connection(self.command, self.environment, self.folder)

    def open(self, connection, name):
        connection.call("use_notebook", notebook_name=name, notebook_path=f"{name}.ipynb", mode="create")

    def cell(self, connection, _name):
        result = connection.call("insert_execute_code_cell", cell_index=-1, cell_source=SOURCE)
        assert any("42" in block["text"] for block in result["content"]), result

    def memory(self, connection):
        return memory(connection.process.pid) + memory(self.jupyter.pid)

    def close(self):
        self.jupyter.terminate()
        self.jupyter.wait()


def measure(server, cells):
    """Seconds to initialize, memory when idle, and seconds for a cell."""
    starts = []
    for _ in range(3):
        connection = server.connect()
        starts.append(connection.seconds_to_initialize)
        connection.close()
    connection = server.connect()
    idle = server.memory(connection)
    server.open(connection, "a")
    times = []
    for _ in range(cells):
        begun = time.perf_counter()
        server.cell(connection, "a")
        times.append(time.perf_counter() - begun)
    connection.close()
    return statistics.median(starts), idle, statistics.median(times)


def measure_many(server, count):
    """All notebooks at once, and each for itself while one of them is busy."""
    connection = server.connect()
    names = [f"n{number}.ipynb" for number in range(count)]
    for name in names:
        connection.call("notebook_create", path=name, cells=[])
    begun = time.perf_counter()
    at_once(connection, names, "1")
    print(f"{count} notebooks get their kernels and run a cell: {time.perf_counter() - begun:.1f} s")
    print(f"memory of the server beside {count} kernels: {server.memory(connection):.1f} MB")
    times = at_once(connection, names, SOURCE)
    print(f"a cell in each at once: median {statistics.median(times) * 1e3:.0f} ms, last {max(times) * 1e3:.0f} ms")
    busy = connection.ask_tool("edit_and_run", {"path": names[0], "source": "import time; time.sleep(5)"})
    times = []
    for name in names[1:]:
        begun = time.perf_counter()
        connection.call("edit_and_run", path=name, source=SOURCE)
        times.append(time.perf_counter() - begun)
    print(f"one after the other beside a busy one: median {statistics.median(times) * 1e3:.1f} ms, "
          f"longest {max(times) * 1e3:.1f} ms")
    checked(connection.answer(busy))
    connection.close()


def at_once(connection, names, source):
    """Runs a cell in each notebook; the seconds until each answer."""
    begun = time.perf_counter()
    asked = {connection.ask_tool("edit_and_run", {"path": name, "source": source, "wait_seconds": 300}) for name in names}
    times = []
    while asked:
        message = connection.message()
        if message.get("id") in asked:
            checked(message)
            asked.remove(message["id"])
            times.append(time.perf_counter() - begun)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=str(ROOT / "target/release/mcp-jupyter"))
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="with ipykernel")
    parser.add_argument("--theirs", type=pathlib.Path, help="the environment of jupyter-mcp-server")
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--notebooks", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mcp") as name:
        folder = pathlib.Path(name)
        ours = Ours(os.path.abspath(arguments.program), os.path.abspath(arguments.python), folder)
        try:
            report(ours, arguments)
            if arguments.notebooks:
                measure_many(ours, arguments.notebooks)
        finally:
            ours.close()


def report(ours, arguments):
    measured = {ours.name: measure(ours, arguments.cells)}
    if arguments.theirs:
        with tempfile.TemporaryDirectory(prefix="theirs") as name:
            theirs = Theirs(arguments.theirs, pathlib.Path(name))
            try:
                measured[theirs.name] = measure(theirs, arguments.cells)
            finally:
                theirs.close()
    for name, (start, idle, cell) in measured.items():
        print(f"{name}: initialize {start * 1e3:.1f} ms, idle {idle:.1f} MB, insert and run a cell {cell * 1e3:.1f} ms")
    if len(measured) == 2:
        mine, other = measured.values()
        what = ["initialize", "idle memory", "insert and run a cell"]
        ratios = [f"{name} {theirs / ours:.0f}" for name, ours, theirs in zip(what, mine, other, strict=True)]
        print(f"times theirs: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
