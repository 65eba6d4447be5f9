"""How long a call may take and when it may be sent again."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt, le

from utd_rx.models.checks import typed


@frozen(field_transformer=typed)
class Timeouts:
    """Bounds of one REST call, in seconds; what it waits for its turn behind others counts nowhere.

    Args:
        connect: From asking for a connection until it is usable: DNS, TCP, a proxy's consent and
            TLS (docs/contract.md, "Requests and replies": 5 s).
        receive: The longest silence while waiting for the reply or its next bytes.
        total: The whole call with every repetition, the waits between them and the renewal of its
            bearer; what a caller can rely on. 30 s hold three hung attempts and their waits.
    """

    connect: float = field(default=5.0, validator=gt(0))
    receive: float = field(default=8.0, validator=gt(0))
    total: float = field(default=30.0, validator=gt(0))


@frozen(field_transformer=typed)
class RetryPolicy:
    """When a call that is safe to repeat is repeated: exponential back-off with full jitter.

    Args:
        attempts: How often a call is sent at most; 1 never repeats.
        first_backoff: Upper end of the first wait in seconds; it doubles with each attempt.
        longest_backoff: Upper end of every wait in seconds.
        longest_retry_after: The longest `Retry-After` that is waited for, in seconds; a longer
            one ends the call at once, and the caller finds it in `retry_after`.
    """

    attempts: int = field(default=3, validator=[ge(1), le(10)])
    first_backoff: float = field(default=0.25, validator=ge(0))
    longest_backoff: float = field(default=2.0, validator=ge(0))
    longest_retry_after: float = field(default=10.0, validator=ge(0))

    def wait_before_next(
        self, attempt: int, retry_after: float | None, jitter: float
    ) -> float | None:
        """Return the seconds to wait after the failed `attempt` (from 1), None to give up.

        The `jitter`, from 0 to 1, is a share of the back-off, on top of `Retry-After`.
        """
        asked = retry_after or 0.0
        if attempt >= self.attempts or asked > self.longest_retry_after:
            return None
        return asked + jitter * min(self.longest_backoff, self.first_backoff * 2.0 ** (attempt - 1))
