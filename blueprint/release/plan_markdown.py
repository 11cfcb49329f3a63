"""What a release would do, for whoever approves it on its page of Temporal's UI."""

from __future__ import annotations

from blueprint.approval import Proposal
from blueprint.environment.app import App
from blueprint.release.decision import ReleasePlan, short


def release_proposal(plan: ReleasePlan, app: App) -> Proposal:
    """The plan of a deploy, to be approved."""
    return Proposal(
        fingerprint=plan.fingerprint(),
        text=release_plan_markdown(plan, app),
        obstacle="; ".join(refusal.text for refusal in plan.refusals),
    )


def release_plan_markdown(plan: ReleasePlan, app: App) -> str:
    """The plan of a deploy or rollback as Markdown."""
    before = f"`{short(plan.previous)}`; a failure goes back to it" if plan.previous else "nothing"
    migrates = app.migrate and plan.action == "deploy"
    how = "restarted in the pool" if plan.in_place else "out of the pool while they change"
    return "\n".join(
        [
            f"### {plan.action} of `{short(plan.commit)}` {plan.subject}".rstrip(),
            "",
            f"- runs now: {before}",
            *(f"- {', '.join(batch)}: {how}" for batch in plan.batches),
            *(["- migrates the database before, if the release brings migrations"] if migrates else []),
            *(f"- **must not begin**: {refusal.text} -> {refusal.remedy}" for refusal in plan.refusals),
            "",
            f"Fingerprint `{plan.fingerprint()}`",
            "",
        ]
    )
