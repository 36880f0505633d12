"""The least that running a notebook can take: a bare client of one kernel.

It launches the kernel from its kernelspec, sends the code cells one by one, drains whatever comes, without decoding or
keeping it, and shuts the kernel down. What a runner needs over this is its own. Needs pyzmq and a kernel that greets
its subscribers (ipykernel 7 does).

    python benches/floor.py NOTEBOOK [--copies N] [--kernelspec FOLDER]

prints one line of JSON: the seconds from the kernel's launch to its end, the processor time of this client, and what
came on iopub. With `--copies` that many kernels run at once, each with a thread of this process. Exit code 9 if a
kernel did not end when it was asked to: the figures are then not those of a floor.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import hmac
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import zmq

DELIMITER = b"<IDS|MSG>"
IN_CREATE = 0x100
SHUTDOWN_SECONDS = 10
KERNEL_HUNG = 9
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}


class Kernel:
    """A kernel process and the three channels that running cells needs."""

    def __init__(self, kernelspec: pathlib.Path, cwd: pathlib.Path) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="floor-")
        self.key = uuid.uuid4().hex.encode()
        self.session = uuid.uuid4().hex
        self.messages = 0
        self.bytes = 0
        spec = json.loads((kernelspec / "kernel.json").read_text())
        self.address = os.path.join(self.folder.name, "k")
        created = watch(self.folder.name)
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(self._command(spec), cwd=cwd, **silent)
        wait_for_sockets(created, {f"k-{port}" for port in PORTS.values()})
        self._connect()

    def _command(self, spec: dict) -> list[str]:
        connection_file = pathlib.Path(self.folder.name) / "connection.json"
        connection = {"transport": "ipc", "ip": self.address, "key": self.key.decode(), "signature_scheme": "hmac-sha256"}
        connection_file.write_text(json.dumps(connection | PORTS))
        arguments = [argument.format(connection_file=connection_file) for argument in spec["argv"]]
        if arguments[0] in ("python", "python3"):
            arguments[0] = sys.executable
        return [*arguments, "--HistoryManager.hist_file=:memory:"]

    def _connect(self) -> None:
        self.context = zmq.Context()
        self.iopub = self._socket(zmq.SUB, "iopub_port")
        self.iopub.subscribe(b"")
        self.shell = self._socket(zmq.DEALER, "shell_port")
        self.control = self._socket(zmq.DEALER, "control_port")
        while b"iopub_welcome" not in self._receive(self.iopub)[0]:
            pass
        self.execute("kernel_info_request", b"{}")

    def _socket(self, kind: int, port: str) -> zmq.Socket:
        socket = self.context.socket(kind)
        # The socket file is there a moment before the kernel listens on it.
        socket.reconnect_ivl = 1
        socket.rcvhwm = 0
        socket.linger = 0
        socket.connect(f"ipc://{self.address}-{PORTS[port]}")
        return socket

    def _send(self, socket: zmq.Socket, msg_type: str, content: bytes) -> bytes:
        msg_id = uuid.uuid4().hex
        header = {"msg_id": msg_id, "msg_type": msg_type, "session": self.session, "username": "", "version": "5.3", "date": ""}
        parts = [json.dumps(header).encode(), b"{}", b"{}", content]
        signature = hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest().encode()
        socket.send_multipart([DELIMITER, signature, *parts])
        return msg_id.encode()

    def _receive(self, socket: zmq.Socket) -> tuple[bytes, bytes, zmq.Frame]:
        """One message: its header, its parent's header, and its content."""
        frames = socket.recv_multipart(copy=False)
        start = next(i for i, frame in enumerate(frames) if len(frame) == len(DELIMITER) and frame.bytes == DELIMITER)
        return frames[start + 2].bytes, frames[start + 3].bytes, frames[start + 5]

    def execute(self, msg_type: str, content: bytes) -> None:
        """Sends a request and drains until both its reply and its idle status have come."""
        msg_id = self._send(self.shell, msg_type, content)
        poller = zmq.Poller()
        poller.register(self.shell, zmq.POLLIN)
        poller.register(self.iopub, zmq.POLLIN)
        replied = idle = False
        while not (replied and idle):
            for socket, _ in poller.poll():
                header, parent, content_frame = self._receive(socket)
                if socket is self.shell:
                    replied = replied or msg_id in parent
                    continue
                self.messages += 1
                self.bytes += len(content_frame)
                if b'"status"' in header and msg_id in parent:
                    idle = idle or b'"idle"' in content_frame.bytes

    def shutdown(self) -> bool:
        """Asks the kernel to end and waits until its process has; whether it ended by itself."""
        self._send(self.control, "shutdown_request", b'{"restart": false}')
        # ipykernel 7.4 sometimes hangs here: its control thread flushes into a thread that has already ended.
        descriptor = os.pidfd_open(self.process.pid)
        ended, _, _ = select.select([descriptor], [], [], SHUTDOWN_SECONDS)
        os.close(descriptor)
        if not ended:
            self.process.kill()
        self.process.wait()
        self.context.destroy(linger=0)
        self.folder.cleanup()
        return bool(ended)


def watch(folder: str) -> int:
    """A file descriptor that reports what is created in `folder` (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init()
    if descriptor < 0 or libc.inotify_add_watch(descriptor, folder.encode(), IN_CREATE) < 0:
        raise OSError(ctypes.get_errno(), "cannot watch", folder)
    return descriptor


def wait_for_sockets(descriptor: int, names: set[str]) -> None:
    """Blocks until all of `names` have been created."""
    while names:
        events = os.read(descriptor, 4096)
        while events:
            length = int.from_bytes(events[12:16], sys.byteorder)
            names.discard(events[16 : 16 + length].rstrip(b"\0").decode())
            events = events[16 + length :]
    os.close(descriptor)


def run(notebook: pathlib.Path, kernelspec: pathlib.Path, finished: list[Kernel]) -> None:
    """Runs the notebook on a kernel of its own."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    kernel = Kernel(kernelspec, notebook.parent)
    for cell in cells:
        if cell["cell_type"] == "code":
            content = {"code": "".join(cell["source"]), "silent": False, "store_history": True, "allow_stdin": False}
            kernel.execute("execute_request", json.dumps(content).encode())
    if kernel.shutdown():
        finished.append(kernel)


def main() -> None:
    """Reads the command line, runs the copies, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=pathlib.Path)
    parser.add_argument("--copies", type=int, default=1)
    default = pathlib.Path(sys.prefix, "share/jupyter/kernels/python3")
    parser.add_argument("--kernelspec", type=pathlib.Path, default=default)
    arguments = parser.parse_args()
    finished: list[Kernel] = []
    task = (arguments.notebook.resolve(), arguments.kernelspec, finished)
    threads = [threading.Thread(target=run, args=task) for _ in range(arguments.copies)]
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = {
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - begin_cpu,
        "messages": sum(kernel.messages for kernel in finished),
        "bytes": sum(kernel.bytes for kernel in finished),
    }
    print(json.dumps(figures))
    sys.exit(0 if len(finished) == arguments.copies else KERNEL_HUNG)


if __name__ == "__main__":
    main()
