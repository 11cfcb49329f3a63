"""The demo's data: rows and objects that are made, harmed, and looked at again."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.config import Config

from starters.dev_state import DevEndpoints

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DATABASE, BUCKET = "equitya", "equitya-prod-files"
ROWS, OBJECTS, HARMED = 20_000, 300, 40
_FILL = f"""
CREATE TABLE IF NOT EXISTS orders AS
    SELECT n AS id, now() - n * interval '1 second' AS placed_at, md5(n::text) AS customer, n % 997 AS amount
    FROM generate_series(1, {ROWS}) AS n;
CREATE TABLE IF NOT EXISTS customers AS SELECT DISTINCT customer FROM orders;
"""
_TIMEOUT = 10.0


class DemoData:
    """Rows in one database and objects in one bucket of a local environment.

    Args:
        endpoints: where the local Scaleway listens.
        secret_path: folder of the environment's secrets.
    """

    def __init__(self, endpoints: DevEndpoints, secret_path: str) -> None:
        self._endpoints = endpoints
        self._secret_path = secret_path
        self._settings = endpoints.environment()

    def fill(self) -> None:
        """Make what is worth keeping."""
        self.sql(_FILL)
        for number in range(OBJECTS):
            self.s3.put_object(Bucket=BUCKET, Key=_key(number), Body=f"report {number}\n".encode() * 50)

    def harm(self) -> None:
        """A table is dropped, objects are deleted and overwritten. One more comes: it is nobody's fault."""
        self.sql("DROP TABLE orders")
        for number in range(HARMED):
            self.s3.delete_object(Bucket=BUCKET, Key=_key(number))
            self.s3.put_object(Bucket=BUCKET, Key=_key(number + HARMED), Body=b"scrambled")
        self.s3.put_object(Bucket=BUCKET, Key="reports/later.txt", Body=b"written after the backup")

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").split()
        return {table: int(self.sql(f'SELECT count(*) FROM "{table}"')) for table in tables}

    def objects(self) -> dict[str, str]:
        """The digest of each object."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {key: _digest(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys}

    def forget(self) -> None:
        """Delete every object in all its versions, and every snapshot: what outlives an environment by intent."""
        for bucket in self.s3.list_buckets()["Buckets"]:
            self._empty(bucket["Name"])
        snapshots = "rdb/v1/regions/{region}/snapshots"
        for snapshot in self._ask(snapshots)["snapshots"]:
            self._ask(f"{snapshots}/{snapshot['id']}", "DELETE")

    def _empty(self, bucket: str) -> None:
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                self.s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])

    @cached_property
    def s3(self) -> S3Client:
        """The local Object Storage."""
        return boto3.client(
            "s3",
            endpoint_url=self._endpoints.s3_url,
            region_name=self._settings["AWS_DEFAULT_REGION"],
            aws_access_key_id=self._settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._settings["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    # -- the database ------------------------------------------------------------------------------------------

    def sql(self, text: str, database: str = DATABASE, user: str = DATABASE) -> str:
        """What psql prints, as the database's own user if no other is named.

        Raises:
            RuntimeError: it fails.
        """
        host, port = self._address()
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", str(port)]
        command += ["-U", user, "-d", database, "-c", text]
        variables = os.environ | {"PGPASSWORD": self._password(user)}
        told = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if told.returncode:
            raise RuntimeError(f"psql: {told.stderr.strip()}")
        return told.stdout.strip()

    def _address(self) -> tuple[str, int]:
        instances = self._ask("rdb/v1/regions/{region}/instances")["instances"]
        endpoint = instances[0]["endpoints"][0]
        return endpoint["ip"], endpoint["port"]

    def _password(self, user: str) -> str:
        where = "secret-manager/v1beta1/regions/{region}/secrets-by-path/versions/latest_enabled/access"
        answer = self._ask(
            where,
            secret_path=self._secret_path,
            secret_name=f"postgresql-{user.replace('_', '-')}",
            project_id=self._settings["SCW_DEFAULT_PROJECT_ID"],
        )
        return base64.b64decode(answer["data"]).decode()

    def _ask(self, path: str, method: str = "GET", **query: str) -> Any:
        url = f"{self._endpoints.api_url}/{path.format(region=self._settings['AWS_DEFAULT_REGION'])}"
        headers = {"X-Auth-Token": self._settings["SCW_SECRET_KEY"]}
        answer = requests.request(method, url, params=query, headers=headers, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json()


def _key(number: int) -> str:
    return f"reports/{number:05d}.txt"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
