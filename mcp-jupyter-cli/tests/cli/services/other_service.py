"""A scheduler service that speaks another protocol: `other_service.py PROTO_FOLDER PROTOCOL OLDEST`. It prints its port."""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

folder, protocol, oldest = sys.argv[1:]
with tempfile.TemporaryDirectory() as out:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--python_out={out}", f"--grpc_python_out={out}"]
    subprocess.run([*command, str(Path(folder, "mcp_jupyter/v1/peer.proto"))], check=True)
    sys.path.insert(0, out)
    from mcp_jupyter.v1 import peer_pb2, peer_pb2_grpc


class Peer(peer_pb2_grpc.PeerServiceServicer):
    def Version(self, request, context):
        return peer_pb2.VersionResponse(
            protocol=int(protocol), oldest_protocol=int(oldest), software="mcp-jupyter 9.9", kind=1, backend="other"
        )


server = grpc.server(ThreadPoolExecutor())
peer_pb2_grpc.add_PeerServiceServicer_to_server(Peer(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
