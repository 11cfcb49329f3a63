"""Health in words: for the run's page in Temporal's UI. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from blueprint.health.contract import Check


def health_markdown(environment: str, checks: Sequence[Check], unknown: Sequence[str] = ()) -> str:
    """How everything is: what is down first, and why.

    Args:
        environment: such as "lssm-prod".
        checks: those that could be made.
        unknown: why others could not.
    """
    down = [check for check in checks if not check.up]
    state = f"**{len(down)} of {len(checks)} checks fail**" if down else f"all {len(checks)} checks are well"
    lines = [f"Health of {environment}, seen from outside: {state}."]
    if unknown:
        lines += ["", *(f"- **could not be checked**: {_cell(why)}" for why in unknown)]
    if checks:
        lines += ["", "| check | | seconds | |", "|---|---|---|---|"]
        ordered = sorted(checks, key=lambda check: check.up)
        lines += [
            f"| `{check.name}` | {'up' if check.up else '**down**'} | {check.seconds:.2f} | {_cell(said(check))} |"
            for check in ordered
        ]
    lines += ["", "A check that fails is retried by the next run; what to do stands in docs/operations.md."]
    return "\n".join(lines)


def said(check: Check) -> str:
    """What there is to say of a check besides whether it is up."""
    if check.trouble or check.certificate_seconds is None:
        return check.trouble
    return f"valid for {int(check.certificate_seconds // 86_400)} days"


def _cell(text: str) -> str:
    # What somebody else's server says may hold anything.
    return text.replace("|", "\\|").replace("<", "&lt;")
