"""The files of backups and snapshots: made, loaded, handed out and removed as the API says."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from emulator.products.rdb import copies
from emulator.products.rdb.model import INSTANCES
from emulator.real.postgresql.client import USER, Client
from emulator.real.postgresql.downloads import Downloads
from emulator.real.postgresql.follower import Databases
from emulator.real.servers import ServerError, give
from emulator.world import Document, World

BACKUPS, SNAPSHOTS = "backups", "snapshots"
"""Folders: a file for each backup, a folder for each snapshot."""
UNFINISHED = ".new"
ATTEMPT = 0.05
"""Seconds between two looks whether a server is ready to be copied."""

log = logging.getLogger(__name__)


class DatabaseCopies:
    """Follows backups and snapshots of real instances.

    The API does not call one ready before its file is whole, nor an instance before a backup is loaded into it.

    Args:
        world: whose.
        databases: the servers.
        folder: where the files are.
    """

    name: ClassVar[str] = "database copies"
    needs: ClassVar[tuple[str, ...]] = ("postgresql",)

    def __init__(self, world: World, databases: Databases, folder: Path) -> None:
        self._world = world
        self._databases = databases
        self._backups, self._snapshots = folder / BACKUPS, folder / SNAPSHOTS
        self._downloads = Downloads(world, self._backups)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._errors: dict[str, str] = {}
        world.holds.append(self._holds)

    def obstacle(self) -> str | None:
        """That of the servers."""
        return self._databases.obstacle()

    async def follow(self, world: World) -> None:
        """Begin what is to be made and loaded, and remove what nobody has any more."""
        self._databases.downloads = await self._downloads.start()
        for table in (copies.BACKUPS, copies.SNAPSHOTS):
            copies.expire(world, table)
        for backup in world.where(copies.BACKUPS, _real=True):
            if backup["status"] == "creating" and "_bytes" not in backup:
                self._begin(backup, copies.BACKUPS, self._dump)
            elif "_restore" in backup:
                self._begin(backup, copies.BACKUPS, self._load)
        for snapshot in world.where(copies.SNAPSHOTS, _real=True):
            if snapshot["status"] == "creating" and "_bytes" not in snapshot:
                self._begin(snapshot, copies.SNAPSHOTS, self._copy)
        await self._tidy()

    async def stop(self) -> None:
        """End what is under way; it is begun anew some day."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        await self._downloads.stop()

    def show(self) -> Any:
        """What is being done, the files, and what went wrong, by id."""
        return {
            "downloads": self._databases.downloads,
            "busy": sorted(self._tasks),
            "files": sorted(path.stem for path in self._files()),
            "errors": self._errors,
        }

    def _holds(self, due: Document) -> bool:
        """Whether a transition makes something ready that is not."""
        if (due["change"] or {}).get("status") != "ready" or self.obstacle():
            return False
        if due["table"] == INSTANCES:
            backups = self._world.where(copies.BACKUPS, status="restoring")
            return any(backup.get("_restore", {}).get("instance_id") == due["key"] for backup in backups)
        if due["table"] not in (copies.BACKUPS, copies.SNAPSHOTS):
            return False
        copied = self._world.find(due["table"], due["key"])
        return copied is not None and copied["_real"] and ("_bytes" not in copied or "_restore" in copied)

    def _begin(self, document: Document, table: str, work: Callable[[Document], Awaitable[None]]) -> None:
        if document["id"] not in self._tasks:
            self._tasks[document["id"]] = asyncio.create_task(self._do(document, table, work))

    async def _do(self, document: Document, table: str, work: Callable[[Document], Awaitable[None]]) -> None:
        try:
            await work(document)
        except (ServerError, OSError) as error:
            log.warning("%s: %s: %s", self.name, document["id"], error)
            self._errors[document["id"]] = str(error)
            if document["status"] != "deleting":
                self._world.forget_pending(table, document["id"])
                document["status"] = "error"
        finally:
            del self._tasks[document["id"]]
        document.pop("_restore", None)
        if self._world.find(table, document["id"]) is document:
            self._world.put(table, document)

    async def _dump(self, backup: Document) -> None:
        client = await self._client(backup["instance_id"])
        self._backups.mkdir(parents=True, exist_ok=True)
        file = self._backups / f"{backup['id']}.custom"
        unfinished = file.with_suffix(UNFINISHED)
        await client.dump(backup["database_name"], unfinished)
        backup["_bytes"] = unfinished.stat().st_size
        unfinished.rename(file)

    async def _load(self, backup: Document) -> None:
        target = backup["_restore"]
        client = await self._client(target["instance_id"])
        try:
            await client.restore(self._backups / f"{backup['id']}.custom", target["database"])
        finally:
            # What was loaded gets the rights that the API gives.
            await self._databases.regrant(target["instance_id"])
            await self._client(target["instance_id"])

    async def _copy(self, snapshot: Document) -> None:
        client = await self._client(snapshot["instance_id"])
        give(self._snapshots, USER)
        folder = self._snapshots / snapshot["id"]
        unfinished = folder.with_suffix(UNFINISHED)
        await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        await client.copy(unfinished)
        unfinished.rename(folder)
        snapshot["_bytes"] = await asyncio.to_thread(_size, folder)

    async def _client(self, instance_id: str) -> Client:
        while self._world.find(INSTANCES, instance_id):
            if client := self._databases.client(instance_id):
                return client
            await asyncio.sleep(ATTEMPT)
        raise ServerError(f"the instance {instance_id} is gone")

    async def _tidy(self) -> None:
        """Remove files that belong to nothing; a snapshot stays while an instance still begins with it."""
        kept = {document["id"] for table in (copies.BACKUPS, copies.SNAPSHOTS) for document in self._world.all(table)}
        for instance in self._world.all(INSTANCES):
            if not self._databases.has_data(instance["id"]):
                kept.add((instance.get("_origin") or {}).get("snapshot"))
        for path in self._files():
            if path.stem not in kept | self._tasks.keys():
                await asyncio.to_thread(_remove, path)
                self._errors.pop(path.stem, None)

    def _files(self) -> list[Path]:
        return [path for folder in (self._backups, self._snapshots) if folder.exists() for path in folder.iterdir()]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
