"""Who starts runs from here, and where that is."""

from __future__ import annotations

import getpass
import os
import socket

from blueprint.release.record import Origin
from starters.ci.job import job_link


def origin() -> Origin:
    """Who starts runs from here, with the page of the CI run if it is one."""
    return Origin(by=started_by(), link=job_link(os.environ))


def started_by() -> str:
    """Who starts runs from here: the CI job, or user and host."""
    if os.environ.get("GITHUB_ACTIONS"):
        return f"{os.environ.get('GITHUB_ACTOR', 'github')} (run {os.environ.get('GITHUB_RUN_ID', '?')})"
    if os.environ.get("GITLAB_CI"):
        return f"{os.environ.get('GITLAB_USER_LOGIN', 'gitlab')} (job {os.environ.get('CI_JOB_ID', '?')})"
    return f"{getpass.getuser()}@{socket.gethostname()}"
