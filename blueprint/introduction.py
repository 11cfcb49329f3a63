"""How a run introduces itself from its start on: a line for lists, a page for strangers, and who asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blueprint.release.record import Origin

PURPOSE: Mapping[str, str] = {
    "apply": "Makes what exists at Scaleway match the environment's file. Every step may be repeated without harm.",
    "destroy": "Removes everything of an environment, and proves that nothing is left.",
    "deploy": "Brings a commit to every node without a request lost; goes back by itself if it does not do.",
    "rollback": "Brings an earlier release back to every node.",
    "plan": "Looks what an apply would do. Changes nothing.",
    "drift": "Looks what differs from the environment's file, every detail read. Changes nothing.",
    "status": "Looks what exists. Changes nothing.",
    "health": "Asks from outside what users would ask. Changes nothing.",
    "releases": "Looks which releases are on the nodes. Changes nothing.",
    "freeze": "As long as this run lives, deploys to the environment are refused.",
    "backup": "Makes a new backup of databases, buckets and the environment itself. Changes nothing that is live.",
    "backups": "Reads the catalogue of backups. Changes nothing.",
    "drill": "Restores backups into scratch places and checks them there: only then they count as good.",
    "retention": "Deletes backups that no rule wants any more.",
    "restore": "Brings data back from a backup; what is live is replaced only where that was asked for.",
    "drop": "Drops a database that a restore made or kept; never a live one.",
    "pin": "Keeps a backup, whatever retention says.",
    "unpin": "Lets retention decide about a backup again.",
}
"""What runs are for, by operation."""
_LONGEST_SUMMARY = 200
"""Characters. Temporal takes 400 bytes."""


@dataclass(frozen=True)
class Introduction:
    """What a run says of itself before it has done anything. Temporal keeps and shows it, worker or no worker."""

    operation: str
    """What it is found by: "apply", "deploy", ..."""
    environment: str
    """Such as "lssm-prod"."""
    origin: Origin
    """Who asked for it, and from where."""
    about: str = ""
    """What this one is about, in a sentence or two."""
    commit: str = ""
    """What it brings, if it is from a commit."""

    @property
    def summary(self) -> str:
        """A line, for lists."""
        brings = f": {self.commit[:9]}" if self.commit else ""
        return f"{self.operation} {self.environment}{brings}, by {self.origin.by}"[:_LONGEST_SUMMARY]

    @property
    def details(self) -> str:
        """Markdown, for whoever opens its page."""
        by, link = self.origin.by, self.origin.link
        lines = [
            f"**{self.operation} of {self.environment}**: {PURPOSE.get(self.operation, '')}".rstrip(": "),
            f"Asked for by {f'[{by}]({link})' if link else by}.",
            f"Commit: `{self.commit}`." if self.commit else "",
            self.about,
        ]
        return "\n\n".join(line for line in lines if line)

    @property
    def memo(self) -> dict[str, str]:
        """Who and where from, for programs."""
        return {"by": self.origin.by} | ({"link": self.origin.link} if self.origin.link else {})
