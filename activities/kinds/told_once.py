"""Credentials of which the API tells the secret half once, when they are made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from activities.lifecycle import Lifecycle
from activities.secret_store import remember
from blueprint.resource import Observed, Resource


class ToldOnce(Lifecycle):
    """Kinds of such credentials. `inputs["secret"]` is the place of the secret half: its folder and name.

    It is stored before the step is done, with the public half as the version's note. Credentials whose secret half did
    not get that far are of no use to anybody, and are deleted.
    """

    def public_half(self, item: Observed) -> str:
        """What the version's note says of credentials: their id, unless the kind knows better."""
        return item.id

    def named(self, resource: Resource) -> Sequence[Observed]:
        """Credentials of the resource's name, safe or not."""
        return super().find(resource)

    def find(self, resource: Resource) -> Sequence[Observed]:
        """See `Lifecycle`."""
        named = self.named(resource)
        if not named:
            return []
        place = resource.inputs["secret"]
        kept = self.cloud.secrets.version_note(place["path"], place["name"])
        safe = [item for item in named if item.ownership == "foreign" or self.public_half(item) == kept]
        for item in named:
            if item not in safe:
                self.delete(item)
        return safe

    def keep(self, resource: Resource, public_half: str, content: Mapping[str, str]) -> None:
        """Store what was told.

        Args:
            resource: what was made.
            public_half: as `public_half` shows it from now on.
            content: both halves; kept as a JSON object.
        """
        for value in content.values():
            if value != public_half:
                remember(value)
        place = resource.inputs["secret"]
        self.cloud.secrets.store(place["path"], place["name"], json.dumps(content), note=public_half)
