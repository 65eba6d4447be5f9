"""What the end of an agent's socket says, as an error and as what is raised."""

from __future__ import annotations

import pytest

from utd_rx.errors import UTDErrorCode
from utd_rx.models.agent import AgentError
from utd_rx.protocol.agent import endings


@pytest.mark.parametrize(
    ("code", "wanted", "status"),
    [
        ("401", UTDErrorCode.UNAUTHORIZED, 401),
        ("403", UTDErrorCode.FORBIDDEN, 403),
        ("404", UTDErrorCode.NOT_FOUND, 404),
        ("418", UTDErrorCode.UNKNOWN, 418),
        ("503", UTDErrorCode.SERVER, 503),
        ("4401", UTDErrorCode.UNAUTHORIZED, None),
        ("4403", UTDErrorCode.FORBIDDEN, None),
        ("network", UTDErrorCode.NETWORK, None),
        ("timeout", UTDErrorCode.TIMEOUT, None),
        ("featureDisabled", UTDErrorCode.FEATURE_DISABLED, None),
        ("no_credits", UTDErrorCode.UNKNOWN, None),
        ("9" * 5000, UTDErrorCode.UNKNOWN, None),
    ],
)
def test_an_error_is_raised_with_the_code_of_the_sdk(
    code: str, wanted: UTDErrorCode, status: int | None
) -> None:
    raised = endings.exception_of(AgentError(code, "why", False))
    assert (raised.code, raised.status_code) == (wanted, status)
    assert raised.message.startswith("why")


def test_an_end_without_a_code_is_the_network_or_nobody_there() -> None:
    assert endings.error_of(None, "x") == AgentError("network", "x", True)
    assert endings.error_of(None, "x", is_silent=True) == AgentError("timeout", "x", True)
