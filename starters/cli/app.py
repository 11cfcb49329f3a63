"""The command line's root: global options, the list of commands, and how everything ends."""

from __future__ import annotations

import logging
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from click.shell_completion import shell_complete
from temporalio.service import RPCError

from blueprint.errors import EngineError
from starters.cli import (
    approving,
    backing,
    changing,
    ci,
    codec,
    granting,
    local,
    reading,
    rehearsing,
    releasing,
    restoring,
    runs,
    steering,
    working,
)
from starters.cli.exits import Exit, exit_for
from starters.cli.session import DEV_FOLDER, Session
from telemetry.traces import flush
from workflows.connection import in_our_words

EXITS = """\b
Exit codes:
  0    done
  1    failed; the message says why and what to do
  2    changes are pending (only with --detailed-exitcode)
  4    a step is parked and waits for an operator, or the run waits for approval
  5    the approved plan is out of date
  11   another change of the environment is running
  64   the command line is wrong
  130  interrupted; a run that was started goes on
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=EXITS)
@click.option("--output", type=click.Choice(["human", "json"]), default="human", show_default=True)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("environments"),
    show_default=True,
    help="Folder of the environment files.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=DEV_FOLDER,
    show_default=True,
    help="Folder of a running `dev`, used if TEMPORAL_ADDRESS is not set.",
)
@click.version_option(metadata.version("scaleway-infra"))
@click.pass_context
def cli(context: click.Context, output: str, directory: Path, state_dir: Path) -> None:
    """Durable provisioning and releases on Scaleway: an environment is a file, every change a Temporal workflow."""
    context.obj = Session(output, directory, state_dir)


for command in (
    reading.validate,
    reading.schema,
    reading.plan,
    changing.apply,
    reading.status,
    reading.drift,
    reading.graph,
    changing.replace,
    changing.destroy,
    releasing.deploy,
    releasing.rollback,
    releasing.releases,
    releasing.freeze,
    releasing.unfreeze,
    rehearsing.rehearse,
    backing.backup,
    backing.backups,
    backing.drill,
    backing.retention,
    backing.pin,
    backing.unpin,
    restoring.restore,
    restoring.drop,
    approving.approve,
    approving.reject,
    runs.runs,
    steering.watch,
    steering.retry,
    steering.skip,
    steering.abort,
    steering.cancel,
    ci.ci,
    codec.codec_server,
    granting.iam_policy,
    local.dev,
    local.emulator,
    local.doctor,
    working.worker,
    local.completion,
):
    cli.add_command(command)


def invoke(arguments: list[str]) -> int:
    """Run one command line; returns its exit code and raises nothing that a user would see as a traceback."""
    logging.basicConfig(level=logging.ERROR)
    context: click.Context | None = None
    try:
        with cli.make_context("scaleway-infra", arguments) as context:
            result: Any = cli.invoke(context)
            return int(result or Exit.DONE)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        _say_what_goes_on(_session_of(context))
        return Exit.INTERRUPTED
    except EngineError as error:
        _show(error, _session_of(context))
        return exit_for(error)
    except RPCError as error:
        _show(in_our_words(error), _session_of(context))
        return Exit.FAILED


def _session_of(context: click.Context | None) -> Session | None:
    """What the command had to work with, once the global options were read."""
    return context.find_object(Session) if context else None


def _show(error: EngineError, session: Session | None) -> None:
    if session:
        session.job.annotate(error)
    if session and session.is_json:
        session.print_json(
            {"error": {"code": error.code, "subject": error.subject, "message": error.message, "remedy": error.remedy}}
        )
        return
    click.echo(f"Error: {f'{error.subject}: ' if error.subject else ''}{error.message}", err=True)
    if error.remedy:
        click.echo(f"  -> {error.remedy}", err=True)


def _say_what_goes_on(session: Session | None) -> None:
    if session and session.running:
        name, link = session.running
        lines = [f"The run goes on: {link}", f"  watch it: scaleway-infra watch {name}"]
        lines += [f"  stop it:  scaleway-infra cancel {name}"]
    elif session and session.beginning:
        lines = [f"Interrupted while a run was being started; it may go on: scaleway-infra watch {session.beginning}"]
    elif session and session.telling:
        lines = [f"Interrupted; the run may have heard it: scaleway-infra runs show {session.telling}"]
    else:
        lines = ["Interrupted; nothing was started."]
    click.echo("\n".join(["", *lines]), err=True)
    if session:
        session.job.summarize("\n".join(f"- {line.strip()}" for line in lines))


def main() -> None:
    """Entry point. Leaves by `os._exit`: Temporal's client crashes the interpreter's own exit now and then.

    Between 6 and 10 of 100 short processes died with SIGABRT after their work was done (temporalio issue 300).
    """
    asked = os.environ.get(local.COMPLETE)
    code = shell_complete(cli, {}, "scaleway-infra", local.COMPLETE, asked) if asked else invoke(sys.argv[1:])
    flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
