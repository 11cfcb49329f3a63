"""Scaleway's clock is another one than ours: what was signed a moment ago is expired, or from another time."""

from __future__ import annotations

import pytest
import requests

from tests.emulator.conftest import Api
from tests.emulator.planes import refusal, s3

CLOCK = "/_emulator/clock"


def test_a_signed_address_expires_when_the_clock_goes_on(api: Api) -> None:
    """It is good again once the clock is right."""
    client = s3(api)
    client.create_bucket(Bucket="shop")
    place = {"Bucket": "shop", "Key": "one"}
    url = client.generate_presigned_url("put_object", Params=place, ExpiresIn=60)

    assert api.request("PUT", CLOCK, {"ahead": 61})[0] == 200
    refused = requests.put(url, data=b"content", timeout=10)
    assert (refused.status_code, "expired" in refused.text) == (403, True)

    assert api.request("PUT", CLOCK, {"ahead": 0})[1] == {"ahead": 0}
    assert requests.put(url, data=b"content", timeout=10).status_code == 200


@pytest.mark.parametrize("ahead", [1200, -1200])
def test_a_request_is_refused_whose_clock_is_a_quarter_of_an_hour_off(api: Api, ahead: float) -> None:
    """In either direction."""
    api.request("PUT", CLOCK, {"ahead": ahead})

    assert api.request("GET", CLOCK)[1] == {"ahead": ahead}
    assert refusal(s3(api).list_buckets) == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("ahead", [None, "1", True])
def test_a_clock_is_set_by_a_number(api: Api, ahead: object) -> None:
    """Anything else is refused, and changes nothing."""
    assert api.request("PUT", CLOCK, {"ahead": ahead})[0] == 400
    assert api.request("GET", CLOCK)[1] == {"ahead": 0}
