"""The programs of Node.js that `.ci/setup clients` installs."""

import os
import subprocess
from pathlib import Path

MODULES = Path(os.environ["MCP_JUPYTER_TEST_NODE_MODULES"])
NODE = MODULES / ".bin/node"
INSPECTOR = MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
CONFORMANCE = {
    "0.1.16": MODULES / "@modelcontextprotocol/conformance/dist/index.js",
    "0.2.0-alpha.12": MODULES / "conformance-next/dist/index.js",
}


def run(script: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{NODE.parent}:/usr/bin:/bin", "HOME": str(cwd), "NO_COLOR": "1"}
    command = [str(NODE), str(script), *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)
