"""The exception tree and the closed list of reasons for which a picture is rejected.

A picture that cannot be used is data, not a failure of the stage: the code that judges it raises `Rejected`, which
never leaves the stage and becomes a record with its `RejectReason`.
"""

import json
import re
from enum import StrEnum
from urllib.parse import quote, quote_plus

SECRET_CHARACTERS = 4


class ImagenetTasksError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(ImagenetTasksError):
    """A setting cannot be used. Retrying cannot help."""


class DataError(ImagenetTasksError):
    """The data cannot be used. Retrying cannot help."""


class TooFewImages(DataError):
    """A class has fewer usable pictures than the settings ask for."""


class TransientError(ImagenetTasksError):
    """The cause may pass by itself: the workflow tries again."""


class SourceUnavailable(TransientError):
    """The source of the pictures does not answer."""


class OutOfSpace(TransientError):
    """The local disk does not hold what is copied to it. It may be emptier when the workflow tries again."""


class ArtifactError(ImagenetTasksError):
    """A file that an earlier stage wrote is missing or cannot be read."""


class ChecksumMismatch(ArtifactError):
    """A finished artifact no longer holds the bytes that were written."""


class NetworkUnusable(ArtifactError):
    """Keras does not load a network that is as it was written, or it does not fit its record."""


class TrainingError(ImagenetTasksError):
    """Training did not end with a usable model."""


class NonFiniteLoss(TrainingError):
    """The loss became NaN or infinite. Never retried."""


class AcceleratorMissing(TrainingError):
    """A GPU was asked for, and the worker has none. Never retried."""


class OutOfMemory(TrainingError):
    """The device's memory does not hold the training, at half the batch either. Never retried."""


class TrainingTimeout(TrainingError):
    """Training ran longer than it may. Never retried."""


class RejectReason(StrEnum):
    """Why a candidate is not among the pictures of its class."""

    INVALID_URL = "invalid_url"
    GONE = "gone"
    HTTP_ERROR = "http_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BLOCKED_SCHEME = "blocked_scheme"
    BLOCKED_ADDRESS = "blocked_address"
    RATE_LIMITED = "rate_limited"
    HOST_DOWN = "host_down"
    ROBOTS_TAG = "robots_tag"
    TRUNCATED_TRANSFER = "truncated_transfer"
    TOO_LARGE = "too_large"
    PLACEHOLDER = "placeholder"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED_IMAGE = "truncated_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    BAD_ASPECT = "bad_aspect"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"
    # Of a class of which nothing could be had:
    SOURCE_UNAVAILABLE = "source_unavailable"
    SOURCE_REFUSED = "source_refused"
    NO_PICTURES_OFFERED = "no_pictures_offered"


class Rejected(Exception):
    """One candidate is not usable.

    Args:
        reason: the reason that goes into the candidate's record.
        may_pass: whether asking again could give another answer (a timeout may pass, a 404 will not).
        detail: what was seen, in words, some of them a server's; it is kept without secrets.
    """

    def __init__(self, reason: RejectReason, *, may_pass: bool = False, detail: str = "") -> None:
        detail = without_secrets(detail)
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.may_pass = may_pass
        self.detail = detail


_known: set[str] = set()  # what stands for a secret of this process in texts


def keep_secret(*secrets: str) -> None:
    """Lets `without_secrets` take these out of any text of this process, also as URLs and messages write them.

    Those of fewer than SECRET_CHARACTERS are left: taking them out would show where they are, and spoil each word.
    """
    for secret in secrets:
        if len(secret) >= SECRET_CHARACTERS:
            _known.update((secret, quote(secret), quote(secret, safe=""), quote_plus(secret)))
            _known.update((repr(secret)[1:-1], repr(secret.encode())[2:-1], json.dumps(secret)[1:-1]))


def without_secrets(text: str) -> str:
    """Returns the text without what was kept secret, and user names, passwords and queries of the URLs in it."""
    for secret in sorted(_known, key=len, reverse=True):  # one may hold another
        text = text.replace(secret, "***")
    text = re.sub(r"(\b[\w+.-]+://)[^/\s]*@", r"\1***@", text)
    return re.sub(r"(\b[\w+.-]+://[^'\"?\n]*)\?[^\s'\"]*", r"\1?***", text)
