"""What a worker reads from its environment, under the names that the SDKs themselves use."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ScalewaySettings(BaseSettings):
    """How to reach Scaleway. Whatever speaks its protocols can stand in for it."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True, populate_by_name=True)

    access_key: str = Field(alias="SCW_ACCESS_KEY")
    """API key: "SCW" and 17 letters or digits."""
    secret_key: SecretStr = Field(alias="SCW_SECRET_KEY")
    """Secret half of the key, a UUID."""
    api_url: str = Field(default="https://api.scaleway.com", alias="SCW_API_URL")
    """Without a slash at the end."""
    project_id: str = Field(alias="SCW_DEFAULT_PROJECT_ID")
    """Project of environments that do not name one."""
    organization_id: str | None = Field(default=None, alias="SCW_DEFAULT_ORGANIZATION_ID")
    """Needed for IAM; looked up from the project if absent."""
    s3_url: str | None = Field(default=None, alias="AWS_ENDPOINT_URL_S3")
    """Object storage; https://s3.<region>.scw.cloud if absent."""
    sqs_url: str | None = Field(default=None, alias="AWS_ENDPOINT_URL_SQS")
    """Queues; the address that the API names if absent."""
    pace: float = Field(default=1.0, gt=0, alias="SCALEWAY_INFRA_PACE")
    """Factor on every pause that the engine makes of its own accord; below 1 against a faster Scaleway."""
