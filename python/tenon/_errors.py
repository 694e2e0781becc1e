"""The exception of the library."""

from . import _tenon


class Error(RuntimeError):
    """A failure of the library.

    ``code`` is its kind ("INVALID", "UNSUPPORTED", "NOT_FOUND", "CORRUPT", "OUT_OF_MEMORY",
    "UNAVAILABLE", "MISMATCH", "DEVICE", "INTERNAL", "CANCELLED"), ``message`` the sentence that says what went
    wrong where, and ``trail`` the whole text: message, notes and the lines of C it came through.
    """

    def __init__(self, code: str, message: str, trail: str = ""):
        super().__init__(code, message, trail)
        self.code = code
        self.message = message
        self.trail = trail or message

    def __str__(self) -> str:
        return f"{self.trail.rstrip()} ({self.code})" if self.code not in self.trail else \
            self.trail.rstrip()


_tenon.set_error(Error)
