"""What other people's programs are made of: the extra `inside`, each test skipped without it."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

IS_REQUIRED = "UTD_RX_REQUIRE_FRAMEWORKS"
"""The variable by which `.ci/run` says that nothing may be missing."""


def need(name: str) -> Any:
    """Return a module of the extra `inside`; without it the test is skipped by name."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        told = f"{error}; pip install -e '.[inside]'"
        (pytest.fail if os.environ.get(IS_REQUIRED) else pytest.skip)(told)
