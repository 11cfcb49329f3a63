"""Commands for this machine: dev, emulator, doctor, completion."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from starters.cli.exits import Exit
from starters.cli.session import DEV_FOLDER, Session, pass_session
from starters.dev import EMULATOR_PORT, LATENCY, TEMPORAL_PORT, UI_PORT, WORKER, Dev, run
from starters.doctor import diagnose
from starters.observe import observing

COMPLETE = "_SCALEWAY_INFRA_COMPLETE"
"""The variable by which a shell asks for completions, as Click names it."""


@click.command()
@click.option("--state-dir", type=click.Path(path_type=Path), default=DEV_FOLDER, show_default=True)
@click.option("--port", type=int, default=EMULATOR_PORT, show_default=True, help="Of the local Scaleway's API.")
@click.option("--temporal-port", type=int, default=TEMPORAL_PORT, show_default=True)
@click.option("--ui-port", type=int, default=UI_PORT, show_default=True, help="Of the Temporal UI.")
@click.option("--latency", type=float, default=LATENCY, show_default=True, help="Factor on Scaleway's real delays.")
@click.option("--real", is_flag=True, help="Real machines, load balancers and databases for networks in 127.0.0.0/8.")
@click.option("--observe", is_flag=True, help="With Prometheus, and the dashboards as pages of it.")
@pass_session
def dev(
    session: Session,
    state_dir: Path,
    port: int,
    temporal_port: int,
    ui_port: int,
    latency: float,
    real: bool,
    observe: bool,
) -> int:
    """Run Temporal, a local Scaleway and a worker until Ctrl-C. The state stays.

    While it runs, every other command on this machine uses it, unless TEMPORAL_ADDRESS says otherwise.
    """
    with observing(state_dir) if observe else nullcontext() as observed:
        variables = [f"{name}={value}" for name, value in observed.variables.items()] if observed else []
        local = Dev(
            state_dir,
            port=port,
            temporal_port=temporal_port,
            ui_port=ui_port,
            latency=latency,
            real=real,
            say=lambda line: session.stderr.print(line),
            worker=["env", *variables, *WORKER],
        )
        if observed:
            session.console.print(f"Prometheus: {observed.prometheus_url}")
            for title, link in observed.links.items():
                session.console.print(f"{title}: {link}", soft_wrap=True)
        return run(local, session.console)


@click.command()
@click.option("--port", type=int, required=True, help="Of the Scaleway API; S3, SQS and the others are printed.")
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0: none, 1: as real.")
@click.option("--state", type=click.Path(path_type=Path), help="SQLite file that keeps everything over restarts.")
@click.option("--real", type=click.Path(path_type=Path), help="Folder of real machines, balancers and databases.")
def emulator(port: int, latency: float, state: Path | None, real: Path | None) -> int:
    """Run a local Scaleway in the foreground.

    \b
    Example: scaleway-infra emulator --port 8090 --latency 0.05
    """
    from emulator.app import run as run_emulator

    return run_emulator(port, latency, state, real)


@click.command()
@pass_session
def doctor(session: Session) -> int:
    """Check everything that a run needs, and say how to mend it."""
    findings = session.run(lambda: diagnose(session.directory))
    if session.is_json:
        session.print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            mark = "[green]ok  [/]" if finding.good else "[red]bad [/]"
            session.console.print(f"{mark} {finding.what}: {finding.found}")
            if not finding.good:
                session.console.print(f"       -> {finding.remedy}")
    return Exit.DONE if all(finding.good for finding in findings) else Exit.FAILED


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the line that turns on completion in a shell.

    \b
    Example: eval "$(scaleway-infra completion bash)"
    """
    program = Path(sys.argv[0]).name or "scaleway-infra"
    if shell == "fish":
        click.echo(f"env {COMPLETE}=fish_source {program} | source")
    else:
        click.echo(f'eval "$({COMPLETE}={shell}_source {program})"')
