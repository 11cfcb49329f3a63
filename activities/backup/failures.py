"""Why a transfer failed: from the program's codes to the engine's errors. Pure."""

from __future__ import annotations

from blueprint.errors import (
    BackupFailed,
    Busy,
    CommandFailed,
    Damaged,
    EngineError,
    FailedState,
    PermissionDenied,
    Refused,
    RestoreRefused,
    SecretMissing,
    Unavailable,
)
from transfer.files import Code

_CLASSES: dict[Code, tuple[type[EngineError], str]] = {
    Code.TOOL_MISSING: (Refused, "on the node: apt-get install postgresql-client zstd age"),
    Code.SERVER_LOST: (Unavailable, ""),
    Code.NOT_PERMITTED: (Refused, "see what the instance's administrator may do, and its password in Secret Manager"),
    Code.LOCKED: (Busy, ""),
    Code.NOT_EMPTY: (RestoreRefused, "drop that database, or choose another name"),
    Code.ROLE_MISSING: (Refused, "make the role that is missing, then retry"),
    Code.DUMP_FAILED: (BackupFailed, ""),
    Code.LOAD_FAILED: (CommandFailed, ""),
    Code.PIPE_BROKEN: (Unavailable, ""),
    Code.WRONG_IDENTITY: (SecretMissing, "the key in Secret Manager is not the one that the backup was made for"),
    Code.PART_DAMAGED: (Damaged, "restore another backup; `scaleway-infra backups` lists those there are"),
    Code.STORE_REFUSED: (PermissionDenied, "check the policies of the key and of the backup bucket"),
    Code.STORE_LOST: (Unavailable, ""),
    Code.DRIVER_LOST: (Unavailable, ""),
    Code.NO_SPACE: (FailedState, "free memory on the node: the transfer's small files are kept in /run"),
    Code.STOPPED: (Unavailable, ""),
    Code.UNFORESEEN: (CommandFailed, "the unit's journal on the node has the details"),
}


def failure_of(code: Code, message: str, subject: str, version: str, *, loading: bool) -> EngineError:
    """What a code stands for: whether a retry helps, and what to do otherwise.

    Args:
        code: why.
        message: what happened, in the program's words.
        subject: what failed.
        version: the server's major version.
        loading: whether it was reading a backup.
    """
    if code is Code.PIPE_BROKEN and loading and "signal" not in message:
        # Every part was what it was when it was sent; a program that was killed says nothing of the data.
        code = Code.PART_DAMAGED
    if code is Code.CLIENT_TOO_OLD:
        package = f"postgresql-client-{version}" if version else "a newer postgresql-client"
        remedy = f"on the nodes: install {package} from apt.postgresql.org"
        return Refused(message, subject=subject, remedy=remedy)
    error, remedy = _CLASSES[code]
    return error(message, subject=subject, remedy=remedy)
