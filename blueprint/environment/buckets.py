"""Object Storage."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from blueprint.environment.base import Section
from blueprint.environment.scalars import Label, wrong


class Transition(Section):
    """A move to a cheaper class."""

    after_days: int = Field(ge=1)
    """Age of the object, in days."""
    storage_class: Literal["ONEZONE_IA", "GLACIER"]
    """Where to. STANDARD, ONEZONE_IA, GLACIER is the only direction."""


class LifecycleRule(Section):
    """What happens to objects as they age. Scaleway runs the rules at midnight UTC, up to a day late."""

    prefix: str = ""
    """Objects whose key starts with this; all if left out."""
    expire_days: int | None = Field(default=None, ge=1)
    """Age in days at which an object is deleted (in a versioned bucket: gets a delete marker)."""
    expire_noncurrent_days: int | None = Field(default=None, ge=1)
    """Days after which a version that is no longer the current one is deleted."""
    transition: Transition | None = None
    """A move to a cheaper class."""
    abort_multipart_days: int | None = Field(default=None, ge=1)
    """Days after which an upload that was never completed is dropped."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not any((self.expire_days, self.expire_noncurrent_days, self.transition, self.abort_multipart_days)):
            raise wrong(
                "the rule does nothing; one of expire_days, expire_noncurrent_days, transition "
                "or abort_multipart_days is needed"
            )
        if self.expire_days and self.transition and self.transition.after_days >= self.expire_days:
            raise wrong(
                f"objects would move after {self.transition.after_days} days, "
                f"but they are deleted after {self.expire_days}; transition.after_days must be less"
            )
        return self


class CorsRule(Section):
    """What browsers may do from other origins."""

    origins: list[str] = Field(min_length=1, examples=[["https://app.example.org"]])
    """Origins, or "*"."""
    methods: list[Literal["GET", "HEAD", "PUT", "POST", "DELETE"]] = Field(min_length=1)
    """Methods."""
    headers: list[str] = Field(default=[])
    """Headers that a request may carry."""
    expose_headers: list[str] = Field(default=[])
    """Headers of the answer that scripts may read."""
    max_age: int = Field(default=3600, ge=0)
    """Seconds for which a browser remembers the permission."""


class ObjectLock(Section):
    """How long an object version that is written cannot be deleted."""

    mode: Literal["governance", "compliance"] = "governance"
    """governance: whoever has the permission can still delete it. compliance: nobody can, not even Scaleway."""
    days: int = Field(ge=1, le=3650, examples=[30])
    """Days from its writing on."""


class Bucket(Section):
    """A bucket, `<domain>-<env>-<what>`; protected."""

    versioning: bool = False
    """Whether overwritten and deleted objects are kept as versions. Once on it can be suspended, not undone."""
    object_lock: ObjectLock | None = None
    """Object Lock; none if left out. Chosen when the bucket is made, and for good; brings versioning. Mode and days
    can change, for what is written from then on."""
    lifecycle: list[LifecycleRule] = Field(default=[], max_length=1000)
    """Rules by age."""
    cors: list[CorsRule] = Field(default=[])
    """Rules for browsers."""
    access: dict[Label, Literal["read", "readwrite"]] = Field(default={})
    """Who may use it: applications, by name. With any, the bucket's policy shuts everybody else out but the engine."""

    @property
    def versioned(self) -> bool:
        """Whether it keeps versions, by itself or for its Object Lock."""
        return self.versioning or self.object_lock is not None
