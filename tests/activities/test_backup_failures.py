"""What the codes of the program that carries a database stand for."""

from __future__ import annotations

import pytest

from activities.backup.failures import failure_of
from blueprint.errors import Damaged, EngineError, Refused, Unavailable
from transfer.files import Code


@pytest.mark.parametrize("code", Code)
def test_every_code_is_an_error_of_ours(code: Code) -> None:
    """None falls through, and each keeps the program's words."""
    error = failure_of(code, "because", "dump equitya", "16", loading=False)
    assert (error.message, error.subject) == ("because", "dump equitya")


@pytest.mark.parametrize(
    ("code", "message", "loading", "expected"),
    [
        (Code.PIPE_BROKEN, "age ended with exit code 1", True, Damaged),
        (Code.PIPE_BROKEN, "age ended with signal 9", True, Unavailable),
        (Code.PIPE_BROKEN, "age ended with exit code 1", False, Unavailable),
        (Code.CLIENT_TOO_OLD, "too old", False, Refused),
    ],
)
def test_what_depends(code: Code, message: str, loading: bool, expected: type[EngineError]) -> None:
    """A stream that does not open is damaged; a program that was killed says nothing of it."""
    error = failure_of(code, message, "load", "16", loading=loading)
    assert type(error) is expected
    assert code is not Code.CLIENT_TOO_OLD or "postgresql-client-16" in error.remedy
