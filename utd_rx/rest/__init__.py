"""The engine's REST API: `UTDApiClient` carries JSON, `UTDApi` gives it types."""

from __future__ import annotations

from utd_rx.rest.api import UTDApi
from utd_rx.rest.client import UTDApiClient
from utd_rx.rest.policy import RetryPolicy, Timeouts

__all__ = ["RetryPolicy", "Timeouts", "UTDApi", "UTDApiClient"]
