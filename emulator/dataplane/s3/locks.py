"""Object lock: what a bucket's default says, what a client asks for, and what may not go."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from emulator.dataplane.s3.refusals import S3Error
from emulator.dataplane.s3.versions import Facts, Version
from emulator.dataplane.s3.xml import parse
from emulator.world import Document

DAY = 86_400.0
MODES = ("GOVERNANCE", "COMPLIANCE")
_PREFIX = "x-amz-object-lock-"


@dataclass(frozen=True)
class Settings:
    """What the configuration of a bucket means for its objects.

    Attributes:
        versioning: "Enabled", "Suspended", or "" for never.
        locked: the bucket was made with object lock.
        mode: default retention; "" for none.
        seconds: how long the default retention is.
    """

    versioning: str
    locked: bool
    mode: str = ""
    seconds: float = 0.0

    @property
    def versioned(self) -> bool:
        """Each write makes a version of its own."""
        return self.versioning == "Enabled"


@dataclass(frozen=True)
class Lock:
    """The lock of one version; as in `Facts`."""

    lock_mode: str = ""
    lock_until: float = 0.0
    legal_hold: int = 0


def settings_of(bucket: Document) -> Settings:
    """What a bucket's document says."""
    parts = bucket["_configuration"]
    headers = {name.lower(): value for name, value in bucket["_headers"].items()}
    locked = headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true"
    bodies = (str(parts[name]["body"]) if name in parts else "" for name in ("versioning", "object-lock"))
    return _settings(locked, *bodies)


@lru_cache(maxsize=1024)
def _settings(locked: bool, versioning: str, lock: str) -> Settings:
    # Object lock implies versioning, which cannot be suspended then.
    status = "Enabled" if locked else ""
    if versioning and not locked:
        status = parse(base64.b64decode(versioning)).findtext("Status") or ""
    retention = parse(base64.b64decode(lock)).find(".//DefaultRetention") if lock else None
    if retention is None:
        return Settings(status, locked)
    days = int(retention.findtext("Days") or 0) + 365 * int(retention.findtext("Years") or 0)
    return Settings(status, locked, retention.findtext("Mode") or "", days * DAY)


def lock_of(headers: Mapping[str, str], settings: Settings, now: float) -> Lock:
    """The lock of an object that is written now.

    Raises:
        S3Error: the bucket has no object lock, or the request contradicts itself.
    """
    mode, until, hold = (headers.get(_PREFIX + name, "") for name in ("mode", "retain-until-date", "legal-hold"))
    if (mode or until or hold) and not settings.locked:
        raise _unlocked()
    if bool(mode) != bool(until):
        raise S3Error("InvalidArgument", f"{_PREFIX}retain-until-date and {_PREFIX}mode must both be supplied")
    held = int(hold == "ON")
    if mode:
        return Lock(*_retention(mode, until, now), held)
    if settings.mode:
        return Lock(settings.mode, now + settings.seconds, held)
    return Lock("", 0.0, held)


def protected(version: Version, headers: Mapping[str, str], now: float) -> bool:
    """Whether a version may not be deleted by this request."""
    if version.legal_hold:
        return True
    return version.lock_until > now and not (version.lock_mode == "GOVERNANCE" and _bypasses(headers))


def retention_wanted(
    body: bytes, version: Version, headers: Mapping[str, str], settings: Settings, now: float
) -> tuple[str, float]:
    """Mode and end of the retention that a request puts on a version.

    Raises:
        S3Error: it would weaken a retention that may not be weakened.
    """
    if not settings.locked:
        raise _unlocked()
    root = parse(body)
    mode, until = root.findtext("Mode") or "", root.findtext("RetainUntilDate") or ""
    wanted = _retention(mode, until, now) if mode or until else ("", 0.0)
    weaker = wanted[1] < version.lock_until or (version.lock_mode == "COMPLIANCE" and wanted[0] != "COMPLIANCE")
    bypassed = version.lock_mode == "GOVERNANCE" and _bypasses(headers)
    if version.lock_until > now and weaker and not bypassed:
        raise locked_error()
    return wanted


def hold_wanted(body: bytes, settings: Settings) -> int:
    """Whether a request turns the legal hold on.

    Raises:
        S3Error: the bucket has no object lock, or the body is another.
    """
    if not settings.locked:
        raise _unlocked()
    status = parse(body).findtext("Status")
    if status not in ("ON", "OFF"):
        raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate")
    return int(status == "ON")


def shown(version: Version | Facts) -> dict[str, str]:
    """The lock as headers of an answer."""
    found = {}
    if version.lock_mode:
        found[f"{_PREFIX}mode"] = version.lock_mode
        found[f"{_PREFIX}retain-until-date"] = iso(version.lock_until)
    if version.legal_hold:
        found[f"{_PREFIX}legal-hold"] = "ON"
    return found


def iso(moment: float) -> str:
    """A moment as it is given back."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def locked_error() -> S3Error:
    """The refusal to delete or to weaken what is locked."""
    return S3Error("AccessDenied", "Access Denied because object protected by object lock.")


def _unlocked() -> S3Error:
    return S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")


def _bypasses(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-bypass-governance-retention", "").lower() == "true"


def _retention(mode: str, until: str, now: float) -> tuple[str, float]:
    if mode not in MODES:
        raise S3Error("InvalidArgument", "Unknown wormMode directive")
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise S3Error("InvalidArgument", "The retain until date must be provided in ISO 8601 format") from None
    end = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if end <= now:
        raise S3Error("InvalidArgument", "The retain until date must be in the future!")
    return mode, end
