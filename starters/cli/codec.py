"""The command that shows encrypted payloads in clear text, to the Temporal UI and to whoever may."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click
from yarl import URL

from starters.child import HOST
from starters.cli.exits import UsageRefused
from starters.cli.session import Session, pass_session
from starters.codec_server import PORT, CodecServer, is_loopback, serve
from workflows.codec import SETTING, codec_from


@click.command("codec-server")
@click.option("--host", default=HOST, show_default=True, help="Other than loopback only with --tokens.")
@click.option("--port", type=int, default=PORT, show_default=True)
@click.option(
    "--origin", "origins", multiple=True, help="Where the UI is, may be repeated; TEMPORAL_UI_URL if left out."
)
@click.option(
    "--tokens",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with a token a line; each request has to bring one, as Authorization: Bearer.",
)
@pass_session
def codec_server(session: Session, host: str, port: int, origins: tuple[str, ...], tokens: Path | None) -> None:
    """Show payloads in clear text to the Temporal UI, with the keys of SCALEWAY_INFRA_CODEC_KEYS_FILE.

    Run one on your own computer, and give the UI its address under "Codec Server". What Temporal keeps stays
    encrypted: your browser brings it here.

    \b
    Examples: scaleway-infra codec-server --origin https://temporal.example.org
              temporal workflow show -w environment/equitya-prod --codec-endpoint http://127.0.0.1:8081
    """
    session.adopt_dev()
    codec = codec_from()
    if codec is None:
        raise UsageRefused(f"{SETTING} is not set: nothing is encrypted, so there is nothing to show")
    known = tokens.read_text().split() if tokens else []
    if not known and (tokens or not is_loopback(host)):
        raise UsageRefused("whoever reaches it would see clear text: give it --tokens, or a --host on loopback")
    pages = [str(URL(page).origin()) for page in origins or (os.environ.get("TEMPORAL_UI_URL", ""),) if page]
    session.stderr.print(f"Codec server: http://{host}:{port}, for {', '.join(pages) or 'no browser'}", soft_wrap=True)
    asyncio.run(serve(CodecServer(codec, pages, known), host, port))
