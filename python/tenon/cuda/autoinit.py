"""pycuda.autoinit: begins with the first card, or with none."""

from . import driver
from ._memory import backend

backend()
device = driver.Device(0)
context = driver.Context()
