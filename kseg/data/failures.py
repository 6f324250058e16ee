"""What an exception of a pass over a dataset says, without what TensorFlow wraps around it."""

import re


def failure_sentence(failure: BaseException) -> str | None:
    """Return the error sentence inside an exception that a pass over a dataset raised, or None if it has none.

    TensorFlow wraps what a reader raises in `InvalidArgumentError` with its own traceback; this is for messages.
    """
    match = re.search(r"(?:ValueError|FileNotFoundError|IllegalIds): (`.*?)(?:\nTraceback|\n\n|$)", str(failure),
                      re.DOTALL)
    return match[1].strip() if match else None
