"""Times how fast 100,000 outputs of a kernel reach Python, by `mcp_jupyter.Kernel` and by jupyter_client's own reader.

    python benches/output_stream.py [--outputs N] [--repetitions N]

Both have a kernel of this interpreter publish N displays, in turn, and read them all. Prints the medians and their ratio.
Exit code 1 if ours takes twice as long or longer, or if one of our outputs is missing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Callable

import jupyter_client
import mcp_jupyter

RATIO = 2.0
# The publishing queue of ipykernel would drop what its reader is too slow for; ours lifts that by itself.
LIFT_LIMIT = "get_ipython().kernel.iopub_thread.schedule(lambda: get_ipython().kernel.iopub_thread.socket.set_hwm(0))"
PUBLISH = "from IPython.display import display\nfor number in range({count}): display({{'text/plain': str(number)}}, raw=True)"


def ours(count: int) -> tuple[float, int]:
    """Seconds, and how many outputs have come."""
    with mcp_jupyter.Kernel.start() as kernel:
        kernel.execute("1").wait()
        begin = time.perf_counter()
        outputs = sum(1 for _ in kernel.execute(PUBLISH.format(count=count)))
        return time.perf_counter() - begin, outputs


def theirs(count: int) -> tuple[float, int]:
    """The same by jupyter_client's blocking client."""
    manager, client = jupyter_client.manager.start_new_kernel()
    try:
        client.execute_interactive(LIFT_LIMIT)
        begin = time.perf_counter()
        request = client.execute(PUBLISH.format(count=count))
        outputs = 0
        while True:
            message = client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "display_data":
                outputs += 1
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return time.perf_counter() - begin, outputs
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--outputs", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    seconds: dict[Callable[[int], tuple[float, int]], list[float]] = {ours: [], theirs: []}
    complete = True
    for _ in range(arguments.repetitions):
        for read, times in seconds.items():
            taken, outputs = read(arguments.outputs)
            times.append(taken)
            print(f"{read.__name__}: {taken:.1f} s, {outputs} outputs", flush=True)
            complete &= read is theirs or outputs == arguments.outputs
    ratio = statistics.median(seconds[ours]) / statistics.median(seconds[theirs])
    print(f"ratio {ratio:.2f}, of {RATIO:.1f} allowed")
    return 0 if complete and ratio < RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
