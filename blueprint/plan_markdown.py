"""A plan for a pull request or a page of Temporal's UI: counts at a glance, differences folded, never too long."""

from __future__ import annotations

import json
from collections.abc import Iterator

from blueprint.plan import Change, Plan

LONGEST_COMMENT = 65_536
"""GitHub refuses a comment with more characters than this."""
_ROOM_FOR_THE_END = 400


def plan_markdown(plan: Plan, longest: int = LONGEST_COMMENT, *, folded: bool = True) -> str:
    """The plan as GitHub-flavoured Markdown.

    Args:
        plan: to show.
        longest: characters that it stays below.
        folded: whether the differences are seen only once somebody opens them.
    """
    counts = {action: count for action, count in plan.counts().items() if count}
    head = [
        f"### Plan for `{plan.environment}`" + (" (destroy)" if plan.destroy else ""),
        "",
        "| " + " | ".join(counts) + " |" if counts else "Nothing exists and nothing is asked for.",
    ]
    if counts:
        head += ["|" + "---|" * len(counts), "| " + " | ".join(str(count) for count in counts.values()) + " |"]
    head += ["", f"Fingerprint `{plan.fingerprint()}`", ""]
    if not plan.changes:
        return "\n".join([*head, "No changes.", ""])
    # Temporal's UI shows what stands in such a fold as it is, not as Markdown.
    head += ["<details><summary>Changes</summary>", "", "```diff"] if folded else ["```diff"]
    tail = ["```", "", "</details>", ""] if folded else ["```", ""]
    room = longest - _ROOM_FOR_THE_END - sum(len(line) + 1 for line in (*head, *tail))
    body: list[str] = []
    for index, change in enumerate(plan.changes):
        lines = list(_lines(change))
        room -= sum(len(line) + 1 for line in lines)
        if room < 0:
            tail.insert(1, f"\n{len(plan.changes) - index} more changes: `scaleway-infra plan` shows them.\n")
            break
        body += lines
    return "\n".join([*head, *body, *tail])


def _lines(change: Change) -> Iterator[str]:
    """Lines of a diff: GitHub colours them by their first character."""
    sign = {"create": "+", "delete": "-", "conflict": "-"}.get(change.action, "!")
    yield f"{sign} {change.action} {change.key}" + (f"  ({_safe(change.why)})" if change.why else "")
    for difference in change.differences:
        yield f"-     {difference.path}: {_safe(json.dumps(difference.old, default=str))}"
        yield f"+     {difference.path}: {_safe(json.dumps(difference.new, default=str))}"


def _safe(text: str) -> str:
    """Nothing in a value ends the block that it stands in, and none is a page long."""
    text = text.replace("```", "'''").replace("\n", "\\n")
    return text if len(text) <= 1000 else f"{text[:1000]}… ({len(text)} characters)"
