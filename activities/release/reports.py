"""What the scripts say, read: lines of a key and its value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blueprint.release.contract import MigrationPlan
from blueprint.release.facts import CommitFacts, NodeFacts, ReleaseOnNode, UnitFacts


def values(lines: Iterable[str]) -> Mapping[str, str]:
    """The last value of each key."""
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def node_facts(name: str, address: str, lines: Iterable[str], clock_offset: float) -> NodeFacts:
    """What `look.sh` found.

    Args:
        name: the node's.
        address: its private address.
        lines: the script's output.
        clock_offset: seconds that its clock is ahead.
    """
    lines = [*lines]
    told = values(lines)
    releases: list[tuple[int, ReleaseOnNode]] = []
    units: list[UnitFacts] = []
    started: list[float] = []
    settings = [0.0]
    for key, _, rest in (line.partition(" ") for line in lines):
        if key == "release":
            commit, fetched, prepared, released, bad = (rest + " ").split(" ", 4)
            at = None if released == "-" else float(released)
            mark = ReleaseOnNode(commit=commit, prepared=prepared == "1", bad=bad.strip(), released_at=at)
            releases.append((int(fetched), mark))
        elif key == "irreversible":
            # The line before it is the release's own.
            fetched_at, release = releases.pop()
            releases.append((fetched_at, release.model_copy(update={"irreversible": rest.partition(" ")[2]})))
        elif key == "unit":
            unit, load, active, restarts, since, commit = (rest + " ").split(" ", 5)
            running = active == "active"
            units.append(
                UnitFacts(
                    name=unit,
                    loaded=load == "loaded",
                    active=running,
                    restarts=int(restarts),
                    commit=commit.strip(),
                )
            )
            started += [float(since)] if running else []
        elif key == "setting":
            settings.append(float(rest.split(" ", 1)[0]))
    return NodeFacts(
        name=name,
        address=address,
        clock_offset=round(clock_offset, 3),
        free_disk=int(told["free"]),
        current=told["current"],
        releases=tuple(release for _, release in sorted(releases, key=lambda found: found[0], reverse=True)),
        units=tuple(units),
        connections=int(told["connections"]),
        restart_needed=bool(started) and max(settings) > min(started),
    )


def commit_facts(lines: Iterable[str]) -> CommitFacts:
    """What `resolve.sh` found."""
    return CommitFacts.model_validate(values(lines))


def migration_plan(lines: Iterable[str]) -> MigrationPlan:
    """What an application says of its pending migrations: `pending <name>[ irreversible]`, a line each."""
    found = [line.split() for line in lines if line.startswith("pending ")]
    return MigrationPlan(
        pending=tuple(words[1] for words in found),
        irreversible=tuple(words[1] for words in found if words[2:] == ["irreversible"]),
    )
