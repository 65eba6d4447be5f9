"""The engine's REST API: `UTDApiClient` carries JSON, `UTDApi` gives it types.

Importing this loads aiohttp; `import utd_rx` does not import it.
"""

from __future__ import annotations

from utd_rx.rest.api import UTDApi
from utd_rx.rest.client import UTDApiClient
from utd_rx.rest.policy import RetryPolicy, Timeouts

__all__ = ["RetryPolicy", "Timeouts", "UTDApi", "UTDApiClient"]
