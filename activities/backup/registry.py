"""Every activity of backups, drills and restores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from activities.backup.catalogue import Catalogues
from activities.backup.databases import Databases
from activities.backup.describe import Describing
from activities.backup.loading import Loading
from activities.backup.managed import ManagedCopies
from activities.backup.objects.objects import Objects
from activities.backup.report import Reports
from activities.backup.restoring import Restoring
from activities.registry import Clouds


def backup_activities(clouds: Clouds) -> list[Callable[..., Any]]:
    """What a worker offers to backup workflows.

    Args:
        clouds: gives an environment's way to Scaleway.
    """
    catalogues, objects, restoring, managed = (
        Catalogues(clouds),
        Objects(clouds),
        Restoring(clouds),
        ManagedCopies(clouds),
    )
    return [
        catalogues.open,
        catalogues.catalogue,
        catalogues.note_failure,
        catalogues.pin,
        catalogues.record_drill,
        catalogues.delete,
        catalogues.sweep,
        Databases(clouds).database,
        Describing(clouds).describe,
        Reports(clouds).report,
        Loading(clouds).load,
        managed.managed,
        managed.restore,
        objects.back_up,
        objects.restore,
        objects.verify,
        objects.remove,
        restoring.verify,
        restoring.drop,
        restoring.mask,
        restoring.swap,
    ]
