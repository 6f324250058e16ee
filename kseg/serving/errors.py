"""What can go wrong between a client and a server."""


class ServingError(RuntimeError):
    """A server that refused, failed or did not answer.

    Attributes:
        status: int HTTP status or str gRPC status name; None if there was no answer.
        retryable: bool, whether the same request may succeed later.
    """

    def __init__(self, message: str, status: int | str | None = None, retryable: bool = False):
        super().__init__(message)
        self.status = status
        self.retryable = retryable
