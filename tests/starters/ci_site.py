"""A repository whose CI runs against a real Temporal, a local Scaleway and a stand-in for GitHub."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import yaml

from starters.ci.github import Marker
from starters.engine import Run
from tests.starters.github_api import REPOSITORY, GitHubApi
from tests.starters.runner import LONGEST_STEP, Job, Runner
from tests.workflows.house import House, request

INFRA, DEPLOY = "infra-scaleway.yml", "deploy-services.yml"
PULL = 7


class Site:
    """The repository, and everybody who does something with it.

    Attributes:
        home: where the commands do what they say.
        github: what it tells people.
        runner: of its workflow files.
        data: what its environment files say, by name.
    """

    def __init__(self, home: House, github: GitHubApi, runner: Runner, data: dict[str, dict[str, Any]]) -> None:
        self.home = home
        self.github = github
        self.runner = runner
        self.data = data
        for name in data:
            self.write(name)

    def write(self, name: str, **sections: Any) -> None:
        """An environment's file, with these sections besides or instead."""
        self.data[name] |= sections
        (self.runner.checkout / "environments" / f"{name}.yaml").write_text(yaml.safe_dump(self.data[name]))

    def pull_request(self, commit: str, repository: str = REPOSITORY) -> list[Job]:
        """Somebody opens the pull request, or pushes to it."""
        document = {"pull_request": {"number": PULL, "head": {"repo": {"full_name": repository}}}}
        return self.runner.run(INFRA, "pull_request", commit, document)

    def shown(self, name: str, commit: str) -> None:
        """The pull request has shown what an environment's file asks for, and is merged."""
        self.github.say(PULL, f"{Marker('plan', name, self.home.plan(self.data[name]).fingerprint())}\nThe plan.")
        self.github.merge(PULL, commit)

    def merge(self, commit: str) -> list[Job]:
        """Somebody merges it."""
        self.github.merge(PULL, commit)
        return self.push(INFRA, commit)

    def push(self, file: str, commit: str) -> list[Job]:
        """A commit gets to the main branch; or the job for it is run again."""
        return self.runner.run(file, "push", commit)

    def runs(self, name: str, operation: str) -> list[str]:
        """Status of each run that there was, the newest first."""
        environment = f"{self.data[name]['org']}-{name}"
        query = f"Environment = '{environment}' AND Operation = '{operation}'"

        async def found() -> list[str]:
            listed = [run async for run in self.home.client.list_workflows(query)]
            # The list is a little behind: a run that has just ended may still stand in it as running.
            handles = [self.home.client.get_workflow_handle(run.id, run_id=run.run_id) for run in listed]
            described = [await handle.describe() for handle in handles]
            return [run.status.name for run in described if run.status]

        return self.home.run(found())

    def current(self, name: str) -> Run[Any]:
        """The run that has the environment's turn."""
        target = request(self.data[name]).target
        run: Run[Any] = self.until(lambda: self.home.run(self.home.engine.current(target)))
        return run

    @staticmethod
    def until(look: Callable[[], Any]) -> Any:
        """What a look gives once it gives anything; as patient as with a step: machines may be busy."""
        deadline = time.monotonic() + LONGEST_STEP
        while not (found := look()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found
