"""What is made of a program's last words, and of a pipe of which one program fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from transfer.files import Code, TransferError
from transfer.run import Child, Run, code_of


@pytest.mark.parametrize(
    ("program", "words", "code"),
    [
        ("age", "age: error: no identity matched any of the recipients", Code.WRONG_IDENTITY),
        ("age", "age: error: failed to read header: unexpected EOF", Code.PIPE_BROKEN),
        ("zstd", "zstd: /*stdin*\\: unexpected end of file", Code.PIPE_BROKEN),
        ("psql", 'FATAL:  password authentication failed for user "app"', Code.NOT_PERMITTED),
        ("pg_dump", "ERROR:  permission denied for table users", Code.NOT_PERMITTED),
        ("pg_restore", "ERROR:  must be owner of extension plpgsql", Code.NOT_PERMITTED),
        ("pg_restore", 'ERROR:  role "reader" does not exist', Code.ROLE_MISSING),
        ("psql", "ERROR:  canceling statement due to lock timeout", Code.LOCKED),
        ("psql", 'connection to server at "10.0.0.1", port 5432 failed: Connection refused', Code.SERVER_LOST),
        ("pg_dump", "FATAL:  terminating connection due to administrator command", Code.SERVER_LOST),
        ("pg_dump", "server closed the connection unexpectedly", Code.SERVER_LOST),
        ("pg_dump", 'ERROR:  invalid snapshot identifier: "0-1"', Code.SERVER_LOST),
        ("pg_dump", 'ERROR:  relation "role" does not exist', Code.DUMP_FAILED),
        ("pg_dump", "", Code.DUMP_FAILED),
    ],
)
def test_words_tell_why(program: str, words: str, code: Code) -> None:
    """What nobody knows has the step's own code."""
    assert code_of(program, words, Code.DUMP_FAILED) is code


def test_no_row_is_told(tmp_path: Path) -> None:
    """Errors go into histories and logs; what else was said is told."""
    said = """\
pg_restore: error: COPY failed for table "people": ERROR:  new row violates check constraint "adult"
DETAIL:  Failing row contains (1, alice@example.com
second line of alice).
CONTEXT:  COPY people, line 1: "1 alice@example.com"
pg_restore: error: could not execute query: ERROR:  could not create unique index "one"
DETAIL:  Key (mail)=(alice@example.com) is duplicated.
Command was: CREATE UNIQUE INDEX one ON people (mail) WHERE mail <> 'alice@example.com';
pg_restore: warning: errors ignored on restore: 1
"""
    (tmp_path / "said").write_text(said)
    run = Run(tmp_path)
    with pytest.raises(TransferError) as caught:
        run.output("sh", "-c", f"cat {tmp_path}/said >&2; exit 1", code=Code.LOAD_FAILED)
    assert "alice" not in str(caught.value)
    for word in ('"adult"', '"one"', "errors ignored"):
        assert word in str(caught.value)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_guilty_one_is_named(tmp_path: Path, place: int) -> None:
    """Not its neighbours, whom its end has cut off."""
    scripts = ["exec yes", "exec cat", "exec cat > /dev/null"]
    scripts[place] = "head -c 100000; exit 7"
    run = Run(tmp_path)
    children: list[Child] = []
    for script in scripts:
        source = children[-1].stdout if children else subprocess.DEVNULL
        children.append(run.spawn("sh", "-c", script, stdin=source, stdout=subprocess.PIPE))
        if len(children) > 1:
            children[-2].stdout.close()
    with pytest.raises(TransferError, match="ended with exit code 7"):
        run.require(children, Code.DUMP_FAILED, "" if place == 0 else "cut off")


def test_the_first_failure_is_the_one_that_counts(tmp_path: Path) -> None:
    """What follows is of its making; nothing new begins."""
    run = Run(tmp_path)
    run.fail(TransferError(Code.STOPPED, "stopped"))
    with pytest.raises(TransferError, match="later"), run.guarded():
        raise TransferError(Code.PIPE_BROKEN, "later")

    assert run.failure
    assert run.failure.code is Code.STOPPED
    with pytest.raises(TransferError, match="stopped"):
        run.spawn("true")
