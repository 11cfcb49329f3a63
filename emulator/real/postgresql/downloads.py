"""Where exported backups are handed out, as Object Storage does it with signed addresses."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from emulator.products.rdb.copies import BACKUPS, has_passed
from emulator.world import Document, World

HOST = "127.0.0.1"


class Downloads:
    """A port for downloads, whole or from any byte on.

    Args:
        world: whose backups.
        folder: their files.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._runner: web.AppRunner | None = None
        self._origin = ""

    async def start(self) -> str:
        """Listen, if it does not yet, and have the addresses that the API tells lead here.

        Returns:
            The beginning of every address.

        Raises:
            OSError: no port can be opened.
        """
        if self._runner is None:
            application = web.Application()
            application.router.add_get("/{instance_id}/{file}", self._get)
            runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, HOST, 0).start()
            self._runner = runner
            self._origin = f"http://{HOST}:{runner.addresses[0][1]}"
        for backup in self._world.where(BACKUPS, _real=True):
            # An earlier emulator listened at another port.
            if (url := backup["download_url"]) and not url.startswith(f"{self._origin}/"):
                backup["download_url"] = urlsplit(url)._replace(scheme="http", netloc=self._origin[7:]).geturl()
                self._world.put(BACKUPS, backup)
        return self._origin

    async def stop(self) -> None:
        """Close the port."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _get(self, request: web.Request) -> web.StreamResponse:
        path = self._folder / request.match_info["file"]
        backup = self._world.find(BACKUPS, path.stem)
        refused = _refusal(self._world, backup, request.path_qs)
        if refused:
            return _error(403, *refused)
        if not path.is_file():
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


def _refusal(world: World, backup: Document | None, address: str) -> tuple[str, str] | None:
    """Why this address does not open the file of a backup: code and message; None if it does."""
    url = urlsplit(backup["download_url"] or "") if backup else urlsplit("")
    if not backup or f"{url.path}?{url.query}" != address:
        return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
    if has_passed(world, backup["download_url_expires_at"]):
        return "AccessDenied", "Request has expired"
    return None


def _error(status: int, code: str, message: str) -> web.Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return web.Response(status=status, text=body, content_type="application/xml")
