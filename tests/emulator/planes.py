"""Clients of the data planes of one emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import KEY, Api

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

ACCESS_KEY = "SCWLOCAL000000000000"
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
MNQ = "/mnq/v1beta1/regions/fr-par"


def s3(api: Api, access_key: str = ACCESS_KEY, secret_key: str = KEY, region: str = "fr-par") -> S3Client:
    """A client of Object Storage."""
    return boto3.client(
        "s3",
        endpoint_url=api.emulator.planes["s3"].url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=ONCE,
    )


def sqs(api: Api, *permissions: str, secret_key: str | None = None) -> SQSClient:
    """A client of SQS with new credentials; the service is activated if it is not."""
    project = {"project_id": DEFAULT_PROJECT}
    api.request("POST", f"{MNQ}/activate-sqs", project)
    _, made = api.request(
        "POST",
        f"{MNQ}/sqs-credentials",
        {**project, "name": "test", "permissions": dict.fromkeys(permissions, True)},
    )
    return boto3.client(
        "sqs",
        endpoint_url=api.emulator.planes["sqs"].url,
        aws_access_key_id=made["access_key"],
        aws_secret_access_key=secret_key or made["secret_key"],
        region_name="fr-par",
        config=ONCE,
    )


def refusal(call: Any, **arguments: Any) -> tuple[int, str]:
    """Status and code of the error that a call must meet."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    raise AssertionError(f"not refused: {answer}")
