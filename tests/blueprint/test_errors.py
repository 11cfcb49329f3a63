"""The errors of the engine: stable codes, and a patience that fits what each means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blueprint import errors
from blueprint.errors import EngineError, Retryable, by_code


def tree(root: type[EngineError]) -> Iterator[type[EngineError]]:
    """The class and everything below it, of that module."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


EVERY = list(tree(EngineError))


def test_codes_are_unique_and_lead_back() -> None:
    """Programs rely on them; the one of the base of the retryable stands for no error of its own."""
    codes = [error.code for error in EVERY if error is not Retryable]
    assert len(set(codes)) == len(codes)
    assert all(by_code(error.code) is error for error in EVERY if error is not Retryable)
    assert by_code("no such code") is EngineError


def test_the_picture_in_the_module_is_complete() -> None:
    """Every class and every code stands in the tree that heads the module."""
    picture = errors.__doc__ or ""
    for error in EVERY:
        assert error.__name__ in picture
        assert error in (EngineError, Retryable) or f" {error.code} " in picture


@pytest.mark.parametrize("error", EVERY)
def test_patience(error: type[EngineError]) -> None:
    """What no retry cures has none; what a retry cures has some, and pauses that do not outgrow it."""
    assert error.retryable == issubclass(error, Retryable)
    assert (error.patience > 0) == error.retryable
    assert 0 < error.pause <= error.longest_pause
    assert not error.retryable or error.longest_pause < error.patience


def test_words() -> None:
    """What it happened to, what happened, what to do; whatever is missing leaves no trace."""
    assert str(EngineError("is gone", subject="vpc.main", remedy="look")) == "vpc.main: is gone -> look"
    assert str(EngineError("is gone")) == "is gone"
