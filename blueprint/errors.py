"""Every error that the engine raises on purpose.

    EngineError
    ├── EnvironmentFileError      environment_invalid      the file says something that cannot be
    ├── InputInvalid              input_invalid            a run was started with something that is no input for it
    ├── PlanOutOfDate             plan_out_of_date         the world moved since the plan was made
    ├── Conflict                  conflict                 something stands in the plan's way that a person has to clear
    ├── Aborted                   aborted                  an operator ended the run
    │   └── Rejected              rejected                 nobody approved the run in time, or somebody rejected it
    ├── ReleaseRefused            release_refused          a deploy or rollback must not begin: its reasons say why
    ├── ReleaseFailed             release_failed           a release ended before, or without, going back
    ├── RolledBack                rolled_back              a release did not do; the one before runs again
    ├── UnknownRef                unknown_ref              the repository has no such branch, tag or commit
    ├── PoolTooSmall              pool_too_small           a pool would fall below its minimum
    ├── SshKeyMissing             ssh_key_missing          the worker has no key to log in with
    ├── HostKeyChanged            host_key_changed         a machine is not the one that it was
    ├── CommandFailed             command_failed           a command on a node ended with an error
    ├── Unhealthy                 unhealthy                a release does not run well on a node
    ├── RestoreRefused            restore_refused          a restore would touch what it must not
    ├── RestoreFailed             restore_failed           a restore did not come to its end; what was live still is
    ├── Damaged                   damaged                  a backup is not what was written
    ├── BackupFailed              backup_failed            an asset has no new backup
    ├── DrillFailed               drill_failed             a backup was restored and is not what it should be
    ├── HealthUnknown             health_unknown           nobody could look how things are from outside
    ├── LeftOver                  left_over                something of ours is still there after a destroy
    ├── NotOurs                   not_ours                 an object has our name but not our tag
    ├── Ambiguous                 ambiguous                two objects answer to one name
    ├── Protected                 protected                a protected object would be deleted or replaced
    ├── FailedState               failed_state             the object ended in error; no wait cures it
    ├── SecretMissing             secret_missing           a secret that a step needs has no value yet
    ├── MissingReference          missing_reference        a step needs the output of one that gave none
    ├── Refused                   refused                  the API says no, and will again
    │   ├── Unauthenticated       unauthenticated          the key is unknown
    │   ├── QuotaExceeded         quota_exceeded           the organization has as many as it may
    │   └── OutOfStock            out_of_stock             the zone has none of this type
    ├── Gone                      gone                     404 or 410: the object is not there
    └── Retryable                 (never raised itself)
        ├── Throttled             throttled                429: rejected at the edge, nothing happened
        ├── Unavailable           unavailable              5xx, time-out, reset: the outcome is unknown
        ├── Busy                  busy                     409 transient_state: the object settles by itself
        ├── SshUnreachable        ssh_unreachable          a node cannot be reached, or was lost on the way
        ├── StillInUse            still_in_use             412: something still holds the object
        ├── Unresolved            unresolved               a name does not lead there yet: DNS spreads by itself
        ├── PermissionDenied      permission_denied        403: cured by propagation within two minutes, or not
        └── NotReady              not_ready                still on its way; an expected answer to a poll

Whether a retry makes sense, how soon and for how long is a fact of the class (Scaleway errors, sections 2.3 and 4).
"""

from __future__ import annotations

from typing import Any, ClassVar


class EngineError(Exception):
    """Something went wrong, said so that the reader knows what to do next.

    Args:
        message: what happened.
        subject: the object that it happened to: "vpc.main", "network.cidr", ...
        remedy: what to do next.

    Attributes:
        details: what a run that ended so had to show all the same, for whoever started it.
    """

    code: ClassVar[str] = "engine_error"
    """Stable; programs and searches may rely on it."""
    retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without anybody's help."""
    expected: ClassVar[bool] = False
    """Whether it is part of the normal course: retried without a line in the worker's log."""
    patience: ClassVar[float] = 0.0
    """Seconds after the first attempt during which retrying makes sense."""
    pause: ClassVar[float] = 1.0
    """Seconds before the first retry; later pauses grow up to `longest_pause`."""
    longest_pause: ClassVar[float] = 15.0
    """Seconds that no pause exceeds."""

    def __init__(self, message: str, *, subject: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.remedy = remedy
        self.details: tuple[Any, ...] = ()

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{subject}{self.message}{remedy}"


class EnvironmentFileError(EngineError):
    """The environment file cannot mean what it says; `message` lists every error, a line each."""

    code = "environment_invalid"


class InputInvalid(EngineError):
    """A run was started with something that is no input for it, or with nothing."""

    code = "input_invalid"


class PlanOutOfDate(EngineError):
    """The plan that was approved is not what would run now."""

    code = "plan_out_of_date"


class Conflict(EngineError):
    """Something stands in the way of the plan, and a person has to decide about it."""

    code = "conflict"


class Aborted(EngineError):
    """An operator ended the run."""

    code = "aborted"


class Rejected(Aborted):
    """Nothing was changed: somebody said no to what the run would have done, or nobody said yes in time."""

    code = "rejected"


class ReleaseRefused(EngineError):
    """A deploy or rollback must not begin; `message` lists every reason."""

    code = "release_refused"


class ReleaseFailed(EngineError):
    """A release failed before it touched a node, or its nodes were left as they are."""

    code = "release_failed"


class RolledBack(EngineError):
    """A release failed on a node, and the nodes it had touched run the one before again."""

    code = "rolled_back"


class UnknownRef(EngineError):
    """The repository has no branch, tag or commit of that name."""

    code = "unknown_ref"


class PoolTooSmall(EngineError):
    """Fewer nodes would be left in the pool than have to stay in it."""

    code = "pool_too_small"


class SshKeyMissing(EngineError):
    """The worker has no key to log in to nodes with."""

    code = "ssh_key_missing"


class HostKeyChanged(EngineError):
    """A machine shows another host key than it is known by: another machine, or somebody in between."""

    code = "host_key_changed"


class CommandFailed(EngineError):
    """A command on a node ended with an error; `message` has the end of what it printed."""

    code = "command_failed"


class Unhealthy(EngineError):
    """A release does not start, or does not stay well."""

    code = "unhealthy"


class RestoreRefused(EngineError):
    """A restore would touch what it must not, or has nothing to restore."""

    code = "restore_refused"


class RestoreFailed(EngineError):
    """A restore did not come to its end; what it would have replaced is as it was."""

    code = "restore_failed"


class Damaged(EngineError):
    """A part of a backup is missing or other than what was written; `subject` names it."""

    code = "damaged"


class BackupFailed(EngineError):
    """One asset or more have no new backup; what they had before is untouched."""

    code = "backup_failed"


class DrillFailed(EngineError):
    """A backup was restored, and is not what it should be."""

    code = "drill_failed"


class HealthUnknown(EngineError):
    """Somebody was to look how things are from outside, and could not."""

    code = "health_unknown"


class LeftOver(EngineError):
    """A destroy went through, and something of ours is still there."""

    code = "left_over"


class NotOurs(EngineError):
    """An object has the name we would give, but not our ownership tag."""

    code = "not_ours"


class Ambiguous(EngineError):
    """Two or more objects could be the one; a person has to say which."""

    code = "ambiguous"


class Protected(EngineError):
    """A protected object would be deleted or replaced without the file saying so."""

    code = "protected"


class FailedState(EngineError):
    """The object is in error, locked or failed: waiting does not help (Scaleway status enums, section 1.3)."""

    code = "failed_state"


class SecretMissing(EngineError):
    """A secret that somebody has to provide has no value."""

    code = "secret_missing"


class MissingReference(EngineError):
    """The step refers to an output that does not exist, because the step it depends on was skipped."""

    code = "missing_reference"


class Refused(EngineError):
    """The API refuses the call as it is: wrong arguments, a precondition that nothing will mend by itself."""

    code = "refused"


class Unauthenticated(Refused):
    """401: the key is not known, or it is expired."""

    code = "unauthenticated"


class QuotaExceeded(Refused):
    """403 quotas_exceeded: a person has to raise the quota or free something."""

    code = "quota_exceeded"


class OutOfStock(Refused):
    """The zone has no more of this type."""

    code = "out_of_stock"


class Gone(EngineError):
    """404 or 410. A delete takes it for success."""

    code = "gone"


class Retryable(EngineError):
    """Base of what a later attempt can cure."""

    retryable = True
    patience = 600.0


class Throttled(Retryable):
    """429, empty body: rejected before it reached the product, whatever the method."""

    code = "throttled"


class Unavailable(Retryable):
    """5xx, time-out or reset: on a write nobody knows whether it happened, so look before acting again."""

    code = "unavailable"


class Busy(Retryable):
    """409 transient_state, or two writes that met: the object settles by itself."""

    code = "busy"
    expected = True
    patience = 3600.0
    longest_pause = 5.0


class SshUnreachable(Retryable):
    """No way to a node over SSH, or it broke off: what ran there may still run, and whoever is next waits for it."""

    code = "ssh_unreachable"
    patience = 120.0
    longest_pause = 5.0


class StillInUse(Retryable):
    """412 resource_still_in_use: what held the object needs up to a minute to let go."""

    code = "still_in_use"
    expected = True
    patience = 180.0
    longest_pause = 3.0


class Unresolved(Retryable):
    """A name does not lead where its record says: resolvers still remember that there was none."""

    code = "unresolved"
    pause = 2.0


class PermissionDenied(Retryable):
    """403: a fresh grant takes up to 85 s to be seen everywhere; after two minutes it is a real refusal."""

    code = "permission_denied"
    patience = 120.0
    pause = 2.0
    longest_pause = 5.0


class NotReady(Retryable):
    """The object is still on its way: what a poll expects to hear, not a failure."""

    code = "not_ready"
    expected = True
    patience = 3600.0
    next_pause: float | None = None
    """Seconds before the next look, if the poll has an opinion."""


def _tree(root: type[EngineError]) -> dict[str, type[EngineError]]:
    found = {root.code: root} if "code" in vars(root) else {}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


def by_code(code: str) -> type[EngineError]:
    """The class of a stable code; EngineError for one that is not known."""
    return _tree(EngineError).get(code, EngineError)
