"""Lines of the library's log go to the logger "tenon"."""

import logging
from typing import Callable, Optional, Union

from . import _tenon

logger = logging.getLogger("tenon")
_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)  # as tn_log_level counts
_NAMES = {"error": 0, "warning": 1, "info": 2, "verbose": 3}

# A function that takes (level 0 to 3, line) instead of the logger: TensorRT's ILogger.
listener: Optional[Callable[[int, str], None]] = None


def _receive(level: int, line: str) -> None:
    if listener is not None:
        listener(level, line)
    else:
        logger.log(_LEVELS[level], "%s", line)


def set_log_level(level: Union[int, str]) -> None:
    """Lines up to ``level`` are sent: "error", "warning" (as at first), "info" or "verbose", or a
    level of :mod:`logging`."""
    if isinstance(level, str):
        number = _NAMES[level]
    else:
        number = next(i for i, low in enumerate((logging.ERROR, logging.WARNING, logging.INFO, -1))
                      if level >= low)
    _tenon.set_log(_receive, number)


set_log_level("warning")
