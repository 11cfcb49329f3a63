"""What a CI job says: of a plan to those who review it, of drift to those who look after the environment."""

from __future__ import annotations

from blueprint.errors import EngineError
from blueprint.plan import Plan
from blueprint.plan_markdown import LONGEST_COMMENT, plan_markdown
from starters.ci.github import Marker

_ROOM_FOR_A_MARKER = 300
_LONGEST_REASON = 10_000
"""Characters: a file may have thousands of errors."""


def plan_outputs(plan: Plan) -> dict[str, str | int | bool]:
    """What later steps and jobs are told of a plan. A replacement counts as one to add and one to destroy."""
    counts = plan.counts()
    replaced = counts.get("replace", 0)
    return {
        "changes": plan.pending,
        "to_add": counts.get("create", 0) + replaced,
        "to_change": counts.get("update", 0) + counts.get("adopt", 0),
        "to_destroy": counts.get("delete", 0) + replaced,
        "fingerprint": plan.fingerprint(),
    }


def plan_comment(plan: Plan, commit: str, link: str) -> str:
    """A plan for a pull request; whole, or cut after a change, but never longer than a comment may be."""
    what = "Nothing is to be approved." if not plan.steps else "Merging applies exactly this plan, or nothing."
    end = f"{what} {_made(commit, link)}\n"
    return f"{plan_markdown(plan, LONGEST_COMMENT - _ROOM_FOR_A_MARKER - len(end))}\n{end}"


def no_plan_comment(environment: str, error: EngineError, commit: str, link: str) -> str:
    """Why there is no plan to approve."""
    end = f"A merge applies nothing before a plan is shown here. {_made(commit, link)}\n"
    return f"### No plan for `{environment}`\n\n{_reason(error)}\n{end}"


def drift_issue(plan: Plan, link: str) -> str:
    """What differs from the file, and what to do about it."""
    name = plan.environment.rpartition("-")[2]
    end = "\n".join(
        [
            "Somebody, or something, changed what the file describes. Either way ends this:",
            "",
            f"- bring it back to what the file says: `scaleway-infra apply {name}`",
            f"- or put the change into `environments/{name}.yaml`; a pull request shows what is left of it.",
            "",
            f"This is kept up to date, and closed when nothing differs. {_made('', link)}",
            "",
        ]
    )
    return f"{plan_markdown(plan, LONGEST_COMMENT - _ROOM_FOR_A_MARKER - len(end))}\n{end}"


def failure_summary(what: str, error: EngineError) -> str:
    """Why a job ended as it did."""
    return f"### {what}: {error.code}\n\n{_reason(error)}"


def plan_marker(environment: str, plan: Plan | None) -> Marker:
    """The marker of the comment about an environment."""
    return Marker("plan", environment, plan.fingerprint() if plan else "")


def _reason(error: EngineError) -> str:
    text = str(error).replace("```", "'''")
    return f"```\n{text[:_LONGEST_REASON]}\n```\n"


def _made(commit: str, link: str) -> str:
    of = f" of {commit}" if commit else ""
    return f"[Made by this job]({link}){of}." if link else f"Made by a job{of}."
