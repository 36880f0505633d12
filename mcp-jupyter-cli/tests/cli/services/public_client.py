"""A client that knows the services by their protocol alone: `public_client.py reflection|FOLDER SCHEDULER ASSETS`.

With `reflection` it asks the services for the descriptors, else it compiles the proto files in the folder.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "mcp_jupyter.v1"


def pool_of(source, channel):
    """The descriptors, from the service or from the files."""
    if source == "reflection":
        database = ProtoReflectionDescriptorDatabase(channel)
        names = set(database.get_services())
        assert "grpc.health.v1.Health" in names and f"{PACKAGE}.PeerService" in names, names
        return descriptor_pool.DescriptorPool(database)
    pool = descriptor_pool.DescriptorPool()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "all.bin")
        files = sorted(Path(source, "mcp_jupyter/v1").glob("*.proto"))
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", "--include_imports", f"--descriptor_set_out={out}"]
        subprocess.run([*command, *map(str, files)], check=True)
        for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
            pool.Add(file)
    return pool


class Service:
    """One service, its methods as functions of fields."""

    def __init__(self, source, address, name):
        self.channel = grpc.insecure_channel(address)
        self.pool = pool_of(source, self.channel)
        self.name = f"{PACKAGE}.{name}"

    def message(self, name, **fields):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))(**fields)

    def method(self, name, service=None):
        service = service or self.name
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        kind = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
        return getattr(self.channel, kind)(
            f"/{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )

    def meet(self, kind):
        health = health_pb2_grpc.HealthStub(self.channel).Check(health_pb2.HealthCheckRequest(service=self.name))
        assert health.status == health_pb2.HealthCheckResponse.SERVING, health
        ours = self.message("VersionRequest", protocol=1, oldest_protocol=1, software="a public client")
        theirs = self.method("Version", f"{PACKAGE}.PeerService")(ours, timeout=5)
        assert theirs.protocol >= 1 and theirs.kind == kind, theirs


def schedule(service):
    """Plans and follows a run of two cells, as if there were a kernel."""
    session = service.message("SessionRef", session_id="a session", client_id="a public client")
    cells = [
        {"cell": {"id": "a", "index": 0}, "source": "x = 1"},
        {"cell": {"id": "b", "index": 1}, "source": "print(x)"},
    ]
    document = service.message("Document", language="python", cells=cells)
    status = service.method("Sync")(service.message("SyncRequest", session=session, document=document), timeout=5).status
    assert [edge.names[0] for edge in status.edges] == ["x"], status
    wanted = {"plan": {"mode": 1}, "on_error": 1, "priority": 1}
    start = service.message("StartCall", session=session, run_id="a run", request=wanted)
    plan = service.method("Start")(start, timeout=5).plan
    assert [planned.cell.id for planned in plan.cells] == ["a", "b"], plan
    again = service.message("StartCall", session=session, run_id="a run", request=wanted, is_repeated=True)
    assert service.method("Start")(again, timeout=5).plan == plan
    executed, received = [], 0
    while True:
        attach = {"session": session, "run_id": "a run", "received": received, "wanted": True}
        step = next(service.method("Follow")(iter([service.message("FollowRequest", attach=attach)]), timeout=5))
        received = step.number
        if step.step.WhichOneof("step") != "execute":
            break
        dispatch = step.step.execute
        executed.append(dispatch.cell.id)
        report = {"run_id": "a run", "cell_id": dispatch.cell.id, "attempt": dispatch.attempt, "outcome": {"status": 1}}
        for _ in range(2):
            service.method("Report")(service.message("ReportRequest", session=session, report=report), timeout=5)
    assert executed == ["a", "b"], executed
    assert step.step.WhichOneof("step") == "finished", step


def keep(service):
    """Puts an asset, and reads a part of it."""
    content = b"0123456789" * 300_000
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    begin = {"digest": digest, "length": len(content), "mime": "text/plain"}
    chunks = [content[start : start + 500_000] for start in range(0, len(content), 500_000)]
    requests = [service.message("CreateRequest", begin=begin)]
    requests += [service.message("CreateRequest", chunk=chunk) for chunk in chunks]
    answers = list(service.method("Create")(iter(requests), timeout=10))
    assert answers[0].ready.offset == 0 and answers[-1].created.digest == digest, answers
    part = service.message("GetRequest", digest=digest, range={"start": 7, "end": 13})
    assert b"".join(answer.chunk for answer in service.method("Get")(part, timeout=5)) == b"789012"
    try:
        service.method("Head")(service.message("HeadRequest", digest="sha256:" + 64 * "0"), timeout=5)
        raise AssertionError("there is no such asset")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error


def main(source, scheduler, assets):
    scheduler = Service(source, scheduler, "SchedulerService")
    scheduler.meet(1)
    schedule(scheduler)
    assets = Service(source, assets, "AssetService")
    assets.meet(2)
    keep(assets)


main(*sys.argv[1:])
print("all went well")
