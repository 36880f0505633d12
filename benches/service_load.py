"""Many runs at a time on one scheduler service: `benches/service_load.py HOST:PORT --runs 1000`.

Each run is a client's that reports a cell as soon as it is handed out. Prints how long it took from a report to the next
cell. It needs grpcio and grpcio-reflection, and `--max-runs-per-client` of the service above the number of runs.
"""

import argparse
import asyncio
import statistics
import time

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "mcp_jupyter.v1"
SERVICE = f"{PACKAGE}.SchedulerService"


class Scheduler:
    def __init__(self, address):
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(grpc.insecure_channel(address)))
        self.service = self.pool.FindServiceByName(SERVICE)
        self.channel = grpc.aio.insecure_channel(address)

    def message(self, name, **fields):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))(**fields)

    def method(self, name):
        method = self.service.methods_by_name[name]
        kind = self.channel.stream_stream if method.client_streaming else self.channel.unary_unary
        answer = message_factory.GetMessageClass(method.output_type).FromString
        return kind(f"/{SERVICE}/{name}", lambda message: message.SerializeToString(), answer)


async def run(scheduler, number, cells, pause, latencies):
    session = scheduler.message("SessionRef", session_id=f"session {number}", client_id=f"client {number}")
    sources = [{"cell": {"id": f"c{i}", "index": i}, "source": f"x{i} = {i}"} for i in range(cells)]
    document = scheduler.message("Document", language="python", cells=sources)
    await scheduler.method("Sync")(scheduler.message("SyncRequest", session=session, document=document))
    wanted = {"plan": {"mode": 1}, "on_error": 1, "priority": 1}
    name = f"run {number}"
    await scheduler.method("Start")(scheduler.message("StartCall", session=session, run_id=name, request=wanted))
    follow = scheduler.method("Follow")()
    attach = {"session": session, "run_id": name, "wanted": True}
    await follow.write(scheduler.message("FollowRequest", attach=attach))
    began = None
    while True:
        response = await follow.read()
        if began is not None:
            latencies.append(time.perf_counter() - began)
        if response.step.WhichOneof("step") != "execute":
            break
        dispatch = response.step.execute
        await asyncio.sleep(pause)
        began = time.perf_counter()
        report = {"run_id": name, "cell_id": dispatch.cell.id, "attempt": dispatch.attempt, "outcome": {"status": 1}}
        await scheduler.method("Report")(scheduler.message("ReportRequest", session=session, report=report))
        await follow.write(scheduler.message("FollowRequest", next=response.number))
    follow.cancel()
    await scheduler.method("Forget")(scheduler.message("ForgetRequest", session_id=session.session_id))


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--pause", type=float, default=5.0, help="seconds that a cell takes")
    arguments = parser.parse_args()
    scheduler, latencies = Scheduler(arguments.address), []
    began = time.perf_counter()
    runs = [run(scheduler, number, arguments.cells, arguments.pause, latencies) for number in range(arguments.runs)]
    await asyncio.gather(*runs)
    took = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=100)
    print(f"{arguments.runs} runs at a time, {len(latencies)} cells in {took:.1f} s ({len(latencies) / took:.0f} a second)")
    print(f"from a report to the next cell: median {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms")


asyncio.run(main())
