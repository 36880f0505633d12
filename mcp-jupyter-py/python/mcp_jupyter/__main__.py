"""`python -m mcp_jupyter`: the program `mcp-jupyter`, which takes the place of this process."""

import os
import sys

from ._program import NAME, find_program
from .exceptions import Error


def main() -> None:
    """Becomes the program."""
    try:
        program = find_program()
    except Error as error:
        sys.exit(f"error: {error}")
    os.execv(program, [NAME, *sys.argv[1:]])


if __name__ == "__main__":
    main()
