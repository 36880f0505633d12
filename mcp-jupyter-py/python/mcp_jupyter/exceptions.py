"""What mcp_jupyter raises: one exception for each thing that a caller can do about a failure.

Each derives from `Error`, and from the built-in exception that means the same.
"""


class Error(Exception):
    """Any failure of mcp_jupyter."""


class NotFoundError(Error, LookupError):
    """The thing that was named does not exist."""


class InvalidRequestError(Error, ValueError):
    """What was asked for contradicts itself or the notebook."""


class ConflictError(Error, RuntimeError):
    """What was to be changed is another by now; look at it again."""


class CorruptError(Error, ValueError):
    """A notebook or a message is not what it should be."""


class KernelStartError(Error, RuntimeError):
    """A kernel cannot be started."""


class KernelDiedError(Error, RuntimeError):
    """The kernel's process ended."""


class TimedOutError(Error, TimeoutError):
    """A limit of time was reached."""


class UnsupportedError(Error, NotImplementedError):
    """The kernel cannot do this."""


class SystemCallError(Error, OSError):
    """The operating system refused a file operation or a process."""


class UnavailableError(Error, RuntimeError):
    """Not now: a queue is full, or a service away. Later it may succeed."""
