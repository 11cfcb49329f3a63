"""Jobs: what was lost, and what was done twice."""

from __future__ import annotations

import pytest
from aiohttp import web

from probe.jobs import judge
from probe.load import Kind
from probe.report import Jobs
from tests.probe.service import Service, probed


@pytest.mark.parametrize(
    ("posted", "done", "expected"),
    [
        ([], {"other": 3}, Jobs()),
        (["a", "b"], {"a": 1, "b": 1, "other": 2}, Jobs(posted=2, done=2)),
        (["a", "b"], {"a": 2}, Jobs(posted=2, done=1, lost=("b",), repeated=("a",))),
        (["a"], {"a": 0}, Jobs(posted=1, lost=("a",))),
    ],
)
def test_judge(posted: list[str], done: dict[str, int], expected: Jobs) -> None:
    """Others' jobs do not count."""
    assert judge(posted, done) == expected


def test_lost_and_repeated_jobs() -> None:
    """A lost one is a failure; one done twice is told."""

    async def forget(_request: web.Request) -> None:
        if len(service.jobs) >= 3:
            service.jobs |= {"job-1": 0, "job-2": 2}

    service = Service(forget)
    report = probed(service, mix={Kind.GET: 0}, jobs=30, jobs_patience=0.2)
    assert report.jobs.posted == report.kinds["job"].sent == len(service.jobs) > 3
    assert report.jobs.done == report.jobs.posted - 1
    assert (report.jobs.lost, report.jobs.repeated) == (("job-1",), ("job-2",))
    assert report.failures == {"lost job": 1}
