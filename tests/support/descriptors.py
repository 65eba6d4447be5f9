"""A process that has few descriptors left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_descriptors(number: int) -> Iterator[None]:
    """Leave this process at most `number` more descriptors for the length of the block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(
        os.devnull, os.O_RDONLY
    )  # the next that is free, where others may be behind it
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
