"""An S3 server with the bucket `assets`: prints its port, and ends with its standard input."""

import logging
import sys
import threading

from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

ACCOUNT = "123456789012"

logging.getLogger("werkzeug").setLevel(logging.ERROR)
s3_backends[ACCOUNT]["aws"].create_bucket("assets", "us-east-1")
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.buffer.read()
