"""A short random history of a bucket and its backups."""

from __future__ import annotations

import random

import pytest

from bench.backup_model import Model
from bench.bucket_site import bucket_site


@pytest.mark.parametrize("seed", [1, 2])
def test_every_restore_is_right_or_refused_with_a_name(seed: int) -> None:
    """As `python -m bench backup_model`, with fewer steps."""
    with bucket_site() as site:
        model = Model(site, random.Random(seed))
        model.run(80)

    assert model.told["restored"]
    assert model.told["harm"]
