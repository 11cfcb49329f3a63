"""Who is in a pool, and who may leave it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from blueprint.errors import PoolTooSmall


def members_after(
    pool: Sequence[str],
    nodes: Mapping[str, str],
    leave: Collection[str],
    join: Collection[str],
    min_healthy: int,
) -> list[str]:
    """Addresses of the pool after a change: strangers as they are, then nodes in order, as a plan declares them.

    Args:
        pool: addresses that are in it.
        nodes: addresses of the application's nodes, by name, in order; nodes that are gone have none.
        leave: nodes that go.
        join: nodes that come.
        min_healthy: nodes that have to stay; one, if there are fewer nodes than that at all.

    Raises:
        PoolTooSmall: too few would stay.
    """
    leaving = {nodes[name] for name in leave if name in nodes}
    members = [address for address in pool if address not in leaving]
    members += [nodes[name] for name in join if name in nodes and nodes[name] not in members]
    ours = [address for address in members if address in nodes.values()]
    least = min_healthy if len(nodes) >= min_healthy else 1
    if leaving.intersection(pool) and len(ours) < least:
        stay = ", ".join(names_of(ours, nodes)) or "no node"
        raise PoolTooSmall(
            f"without {', '.join(leave)} only {stay} would be in the pool; {least} must stay",
            remedy="add a node, or bring one that is out of the pool back into it",
        )
    order = list(nodes.values())
    return sorted(members, key=lambda address: order.index(address) if address in order else -1)


def names_of(addresses: Sequence[str], nodes: Mapping[str, str]) -> list[str]:
    """Names of nodes; an address that is no node's stands for itself."""
    names = {address: name for name, address in nodes.items()}
    return [names.get(address, address) for address in addresses]
