"""The client of the Hugging Face Hub, and its refusals as error sentences."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kseg import __version__, checks

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests")  # of one version of huggingface_hub or another


def connection(argument: str, place: str, token: str | None) -> "HfApi":
    """Return the hub's client; `argument` and `place` are what the user gave, for the error sentences.

    Raises:
        ImportError: if huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as failure:
        raise checks.missing(argument, "the package huggingface_hub", place, "hub") from failure
    return HfApi(token=token, library_name="kseg", library_version=__version__)


@contextlib.contextmanager
def refusals(argument: str, place: str, file: str) -> Iterator[None]:
    """Turn what huggingface_hub and the libraries below it raise into the error sentence about `place`.

    Args:
        argument, place: as in `connection`.
        file: str, the one that is downloaded.
    Raises:
        ConnectionError: without a network, and when the hub fails.
        PermissionError: if the hub refuses.
        ValueError: if there is no such repository, revision or file, or the hub has a rule against it.
    """
    from huggingface_hub import errors

    def said(rule, advice):
        return checks.sentence(argument, rule, place, advice)

    unreachable = said("must be reachable", "Connect to the internet and try again; HF_HUB_OFFLINE must not be set "
                                            "unless the model is in the hub's cache.")
    try:
        yield
    except errors.LocalEntryNotFoundError as failure:
        raise ConnectionError(unreachable) from failure
    except errors.EntryNotFoundError as failure:
        raise ValueError(said(f"must be a repository with {file}", "Write it with kseg.pretrained.push.")) from failure
    except errors.RevisionNotFoundError as failure:
        raise ValueError(said("must name a branch, tag or commit of the repository", "Check the part after @.")) \
            from failure
    except errors.HfHubHTTPError as failure:
        raise _answered(failure, said) from failure
    except errors.OfflineModeIsEnabled as failure:
        raise ConnectionError(unreachable) from failure
    except ValueError as failure:  # what the client checks before it asks
        raise ValueError(said(*_rejected(str(failure)))) from failure
    except Exception as failure:
        if type(failure).__module__.partition(".")[0] not in _NETWORK:
            raise
        raise ConnectionError(unreachable) from failure


def _answered(failure, said):
    """Return the error for what the hub answered."""
    status = failure.response.status_code
    told = " ".join((failure.server_message or "nothing more").split())
    if status in (401, 403):  # 401 also for a repository that is missing, so that nobody can ask which are private
        return PermissionError(said("must be a repository that exists and that your token gives access to",
                                    "Check its name; log in with `hf auth login`, or set HF_TOKEN to a token with the "
                                    "rights."))
    if status == 404:
        return ValueError(said("must be a repository of the hub", "Check the spelling of user and model."))
    if status == 400:
        return ValueError(said(*_rejected(told)))
    return ConnectionError(said("must be reachable", f"The hub answered {status}: {told}. Try again later."))


def _rejected(told):
    return "must be written as the hub accepts it", f"It says: {' '.join(told.split()).rstrip('.')}."
