"""Runs notebooks and says what is in their namespaces: the judge of the master property.

    python namespace.py serve OBSERVER     answers requests, a JSON object a line, on standard input and output

Each run has a process of its own, forked from one that has imported everything, so it costs milliseconds. In a kernel,
`listen` answers on a Unix socket instead.
"""

import ast
import contextlib
import gc
import itertools
import json
import os
import random
import re
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scheduler", "corpus"))
sys.dont_write_bytecode = True

import numpy
import structure

# What IPython itself binds in the namespace of the user.
SHELL_NAMES = re.compile(r"_+|_i+|_i?\d+|_[iod]h|_exit_code|In|Out|get_ipython|exit|quit|open|__\w+__")
TIMINGS = re.compile(r"^.*(CPU times|Wall time).*\n?", re.MULTILINE)
# So many seconds after its start a process that was forked ends, whatever it does.
PATIENCE = 60
ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}")
INPUT = re.compile(r"<ipython-input-\d+-\w+>|\S*/ipykernel_\d+/\d+\.py")
PROMPT = re.compile(r"^Out\[\d+\]: ?", re.MULTILINE)


def normal(text):
    """A cell's text without what differs between two equal runs, or between IPython and a notebook."""
    text = INPUT.sub("<input>", PROMPT.sub("", TIMINGS.sub("", text)))
    return " ".join(ADDRESS.sub("0x", text).split())


def describe(shell, exempt):
    names = [
        name
        for name, value in shell.user_ns.items()
        if not SHELL_NAMES.fullmatch(name) and name not in exempt and shell.user_ns_hidden.get(name, shell) is not value
    ]
    return {name: ADDRESS.sub("0x", repr(text)) for name, text in structure.describe_namespace(shell.user_ns, names).items()}


class Stream:
    """Where a cell's text goes: a text file without a descriptor."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self):
        self.parts = []

    def write(self, text):
        self.parts.append(text)
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False


def new_shell():
    import IPython.core.interactiveshell
    import traitlets.config

    config = traitlets.config.Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Minimal"
    shell = IPython.core.interactiveshell.InteractiveShell(config=config)
    shell.atexit_operations = lambda: None
    return shell


def execute(shell, source):
    """Gives the class of the exception, if there was one, and the text."""
    written = Stream()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        result = shell.run_cell(source, store_history=True)
    failure = result.error_before_exec or result.error_in_exec
    return type(failure).__name__ if failure else None, normal("".join(written.parts))


# -- what a scheduler needs to drive a run in here -----------------------------------------------------------------


class Live:
    """A kernel with the engine's observer."""

    def __init__(self, shell, observer):
        self.shell = shell
        exec(observer, {"__builtins__": __builtins__, "__name__": "mcp_jupyter_observer", "shell": shell})

    def answer(self, request):
        match request["do"]:
            case "run":
                return self.run(request["source"], request["written"])
            case "delete":
                self.shell._mcp_jupyter_observer.delete(request["names"])
                return {}
            case "describe":
                return {"names": describe(self.shell, request["exempt"])}

    def run(self, source, written):
        ename, text = execute(self.shell, source)
        seen = self.shell._mcp_jupyter_observer.observe(() if ename else written).content
        return {"ename": ename, "text": text, "observation": None if "error" in seen else seen}


# -- a fresh run -----------------------------------------------------------------------------------------------------


def fresh(shell, cells):
    texts = []
    answer = {"failed": None, "ename": None, "texts": texts, "exempt": sorted(loop_variables(cells))}
    for place, source in enumerate(cells):
        ename, text = execute(shell, source)
        if ename:
            return {**answer, "failed": place, "ename": ename, "names": {}}
        texts.append(text)
    return {**answer, "names": describe(shell, answer["exempt"])}


def loop_variables(cells):
    """Names that are nothing but loops' variables, and that no cell reads but those whose loops bind them."""
    bound, others = set(), set()
    for source in cells:
        try:
            tree = ast.parse(re.sub(r"\A%%.*", "", source))
        except SyntaxError:
            others.update(re.findall(r"\w+", source))
            continue
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
        targets = {id(name): name.id for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)}
        here = set(targets.values())
        bound |= here
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and id(node) not in targets:
                if node.id not in here or not isinstance(node.ctx, ast.Load):
                    others.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.ExceptHandler)) and node.name:
                others.add(node.name)
            elif isinstance(node, ast.alias):
                others.add((node.asname or node.name).split(".")[0])
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                others.update(node.names)
    return bound - others


def choose(shell, cells):
    """Of each cell's candidates the first that does not raise, nor makes the cells below raise that have no choice."""
    chosen = []
    for place, candidates in enumerate(cells):
        below = [options[0] for options in itertools.takewhile(lambda options: len(options) == 1, cells[place + 1 :])]
        works = (number for number, source in enumerate(candidates) if succeeds(shell, [source, *below]))
        pick = next(works, len(candidates) - 1) if len(candidates) > 1 else 0
        chosen.append(pick)
        execute(shell, candidates[pick])
    return chosen


def succeeds(shell, cells):
    return forked(lambda: all(execute(shell, source)[0] is None for source in cells))


# -- the server ------------------------------------------------------------------------------------------------------


def begin():
    random.seed(0)
    numpy.random.seed(0)


def forked(work):
    """What `work` gives in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(PATIENCE)
        with open(writing, "w", encoding="utf-8") as pipe:
            json.dump(work(), pipe)
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said)


class LiveProcess:
    """A process that holds a kernel."""

    def __init__(self, shell, observer):
        self.socket, other = socket.socketpair()
        self.child = os.fork()
        if self.child == 0:
            self.socket.close()
            begin()
            live = Live(shell, observer)
            serve(other.makefile("r"), other.makefile("w"), live.answer)
            os._exit(0)
        other.close()
        self.reader, self.writer = self.socket.makefile("r"), self.socket.makefile("w")

    def answer(self, request):
        self.writer.write(json.dumps(request) + "\n")
        self.writer.flush()
        return json.loads(self.reader.readline())

    def end(self):
        self.socket.close()
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)


def serve(requests, answers, answer):
    for line in requests:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


class Server:
    def __init__(self, observer):
        self.shell = new_shell()
        self.observer = observer
        self.live = None

    def answer(self, request):
        match request["do"]:
            case "fresh":
                return forked(lambda: (begin(), fresh(self.shell, request["cells"]))[1])
            case "choose":
                return forked(lambda: choose(self.shell, request["cells"]))
            case "normal":
                return normal(request["text"])
            case "open":
                if self.live is not None:
                    self.live.end()
                self.live = LiveProcess(self.shell, self.observer)
                return {}
            case _:
                return self.live.answer(request)


def listen(path):
    """Says what is in the namespace of this kernel, to whoever asks at the socket."""
    import IPython

    shell = IPython.get_ipython()
    begin()
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def accept():
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("r") as requests, connection.makefile("w") as answers:
                serve(requests, answers, lambda request: {"names": describe(shell, request["exempt"])})

    threading.Thread(target=accept, daemon=True).start()


def main():
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # No module is the notebook's own.
    os.chdir("/")
    with open(sys.argv[2], encoding="utf-8") as file:
        observer = compile(file.read(), "observer.py", "exec")
    serve(sys.stdin, answers, Server(observer).answer)


if __name__ == "__main__":
    main()
