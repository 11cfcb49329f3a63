"""Health from outside: what users would find, by the clock and for `status --live`."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from blueprint.errors import HealthUnknown
from blueprint.health import contract
from blueprint.health.contract import HEALTH_WORKFLOW, Checked, HealthOutput, HealthSite
from blueprint.health.wording import health_markdown
from workflows.calls import begin
from workflows.failures import failure, told


@workflow.defn(name=HEALTH_WORKFLOW)
class Health:
    """Checks everything, each group in an activity of its own, all at once."""

    @workflow.run
    async def run(self, input: HealthSite) -> HealthOutput:
        """Check.

        Raises:
            ApplicationError: health_unknown, some could not be checked. That others are down is a result.
        """
        environment = input.target.environment
        workflow.set_current_details(f"Asking what users of {environment} would ask; nothing is changed.")
        results = await asyncio.gather(*_begun(input), return_exceptions=True)
        checks = [check for result in results if isinstance(result, Checked) for check in result.checks]
        unknown = []
        for result in results:
            if isinstance(result, ActivityError):
                unknown.append(told(result))
            elif isinstance(result, BaseException):
                raise result
        workflow.set_current_details(health_markdown(environment, checks, unknown))
        output = HealthOutput(checks=tuple(checks))
        if unknown:
            raise failure(
                HealthUnknown(
                    f"{len(unknown)} of {len(results)} groups could not be checked: {'; '.join(unknown)}",
                    subject=environment,
                    remedy="this says nothing of what users find: see that the worker can look",
                ),
                output,
            )
        return output


def _begun(site: HealthSite) -> list[ActivityHandle[Checked]]:
    """An activity for each group that the environment has; each is given its own part and no more."""
    bare = HealthSite(target=site.target, timeout=site.timeout)
    parts = [
        (contract.NAMES, "zones", site.zones, "whether DNS answers as declared"),
        (contract.TRAFFIC, "traffic", site.traffic, "certificates, and what users ask through the load balancer"),
        (contract.QUEUES, "queues", site.queues, "queues, and a message through one of them"),
        (contract.INSIDE, "inside", site.inside, "databases and Redis, from a node"),
    ]
    return [
        begin(activity, bare.model_copy(update={name: part}), summary, ActivityCancellationType.TRY_CANCEL)
        for activity, name, part, summary in parts
        if part
    ]
