"""What a worker reads from its environment, under the names that the SDKs themselves use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def _a_uuid(value: SecretStr) -> SecretStr:
    if not re.fullmatch(_UUID, value.get_secret_value()):
        raise ValueError("must be a UUID, the secret half of an API key")
    return value


class ScalewaySettings(BaseSettings):
    """How to reach Scaleway. Whatever speaks its protocols can stand in for it."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True, populate_by_name=True)

    access_key: str = Field(alias="SCW_ACCESS_KEY", pattern=r"^SCW[A-Z0-9]{17}$")
    """API key: "SCW" and 17 letters or digits."""
    secret_key: Annotated[SecretStr, AfterValidator(_a_uuid)] = Field(alias="SCW_SECRET_KEY")
    """Secret half of the key, a UUID."""
    api_url: Annotated[str, AfterValidator(lambda url: url.rstrip("/"))] = Field(
        default="https://api.scaleway.com", alias="SCW_API_URL", pattern=r"^https?://[^/]"
    )
    """Address of the API, without a path."""
    project_id: str = Field(alias="SCW_DEFAULT_PROJECT_ID", pattern=f"^{_UUID}$")
    """Project of environments that do not name one."""
    organization_id: str | None = Field(default=None, alias="SCW_DEFAULT_ORGANIZATION_ID")
    """Needed for IAM; looked up from the project if absent."""
    s3_url: str | None = Field(default=None, alias="AWS_ENDPOINT_URL_S3")
    """Object storage; https://s3.<region>.scw.cloud if absent."""
    sqs_url: str | None = Field(default=None, alias="AWS_ENDPOINT_URL_SQS")
    """Queues; the address that the API names if absent."""
    resolver: str | None = Field(default=None, alias="SCALEWAY_INFRA_RESOLVER", pattern=r"^[^\s]+:\d+$")
    """host:port of the name server that health checks ask; those of the system if absent."""
    cockpit_url: str | None = Field(default=None, alias="SCALEWAY_INFRA_COCKPIT_URL")
    """Cockpit's data sources; the addresses that the API names if absent."""
    pace: float = Field(default=1.0, gt=0, alias="SCALEWAY_INFRA_PACE")
    """Factor on every pause that the engine makes of its own accord; below 1 against a faster Scaleway."""
    ssh_key_file: Path | None = Field(default=None, alias="SCALEWAY_INFRA_SSH_KEY_FILE")
    """Private key, without a passphrase, with which bastions and nodes let the worker in."""
    ssh_agent: Path | None = Field(default=None, alias="SSH_AUTH_SOCK")
    """Socket of an SSH agent, whose keys are tried as well."""
