"""IAM: applications, what they may do, their keys; and the SSH keys of people."""

from __future__ import annotations

import base64
import binascii
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from blueprint.environment.base import Section, Shorthand
from blueprint.environment.scalars import Matching, wrong

_SSH_KEY_TYPES = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


def _public_key(value: str) -> str:
    if "PRIVATE KEY" in value:
        raise wrong("this is a private key, which must not be in a file; its public half (the .pub file) fits")
    type_, _, rest = value.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except binascii.Error:
        blob = b""
    if type_ not in _SSH_KEY_TYPES or type_.encode() != blob[4 : 4 + len(type_)]:
        raise wrong("not an SSH public key; a line such as 'ssh-ed25519 AAAA... name' fits")
    return value.strip()


SshPublicKey = Annotated[str, AfterValidator(_public_key)]
"""One line of an authorized_keys file."""


class PolicyRule(Section):
    """Permission sets, and where they hold."""

    permission_sets: list[
        Annotated[str, Matching("[A-Z][A-Za-z0-9]+", "a permission set's name, such as ObjectStorageReadOnly")]
    ] = Field(min_length=1, examples=[["GenerativeApisModelAccess"]])
    """Names of Scaleway's permission sets."""
    scope: Literal["project", "organization"] = "project"
    """This project, or the whole organisation."""


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise wrong(f"{value!r} is not a date; one such as 2027-01-31 fits") from None


class ApiKey(Section):
    """An API key; its secret half is kept in Secret Manager."""

    expires: Annotated[
        date | None,
        BeforeValidator(lambda value: value and _date(value)),
        WithJsonSchema({"type": "string", "format": "date"}),
    ] = None
    """Last day; never expires if left out."""


def _api_key(value: Any) -> Any:
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


class Application(Section):
    """A program's identity, `<org>-<env>-<name>`."""

    description: str = ""
    """For people."""
    policies: list[PolicyRule] = Field(default=[])
    """What it may do. Access to buckets is granted by `buckets.<name>.access`."""
    api_key: Annotated[ApiKey | None, Shorthand(_api_key, {"type": "boolean"})] = None
    """API key: `true`, or its settings; none if left out."""
