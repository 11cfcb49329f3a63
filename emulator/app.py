"""The server: one port for the API of every product, and the life of the whole."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web

from emulator import control, dataplane, faults, pace
from emulator.auth import authenticate, authorize, hide_orphans
from emulator.connections import cut
from emulator.dataplane.s3.database import Database
from emulator.errors import ApiError, denied_authentication, invalid_arguments
from emulator.products import load_products
from emulator.products.iam.api_keys import OWNERS_KEY
from emulator.real.house import followers_of
from emulator.requests import RequestLog
from emulator.router import Router
from emulator.routing import Answer, Call, Reply, Route
from emulator.statefile import StateFile, StateFileError
from emulator.world import DEFAULT_ORGANIZATION, DEFAULT_PROJECT, World

HOST = "127.0.0.1"
ACCESS_KEY = OWNERS_KEY
SECRET_KEY = "22222222-2222-4222-8222-222222222222"
"""What the printed environment proposes; every well-formed key will do."""


class PortInUseError(Exception):
    """The port that was asked for belongs to another program."""


class Emulator:
    """A world behind an HTTP port, with its data planes.

    Args:
        latency: factor on Scaleway's real delays: 0 none, 1 as they are.
        state: SQLite file to keep the world in; None keeps it in memory. Objects of Object Storage are in a folder
            beside it, or in a temporary one.
        seed: for ids and addresses; None draws one.
        real: folder of the real things behind the API (`emulator.real`); None has none.

    Raises:
        StateFileError: the state file cannot be used.
    """

    def __init__(
        self, latency: float = 0.0, state: Path | None = None, seed: int | None = None, real: Path | None = None
    ) -> None:
        self.router = Router(route for product in load_products() for route in product.routes)
        self.world = World(latency, seed, loopback=real is not None)
        self.log = RequestLog()
        self.faults = faults.Faults()
        self.planes: dict[str, dataplane.Endpoint] = {}
        self.url = ""
        self.real = followers_of(self.world, real) if real else None
        self._control = control.Control(self)
        self._state = StateFile(state) if state else None
        self._objects = Database(state.with_name(f"{state.name}.objects") if state else None)
        if self._state is None or not self._state.load(self.world):
            self.world.sow()
        self._save()
        self._runner: web.ServerRunner | None = None

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one. `url` says which.

        Raises:
            PortInUseError: another program listens there.
        """
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise PortInUseError(f"port {port} of {HOST} cannot be opened: {os.strerror(error.errno or 0)}") from error
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"
        self.planes = await dataplane.start_all(
            self.world, self.log, self.faults, self._objects, near=port, changed=self._save
        )
        if self.real:
            self.world.cockpit = self.planes["cockpit"].url
            self.real.start()

    async def stop(self) -> None:
        """Close the ports and write what is not written yet."""
        if self._runner:
            await self._runner.cleanup()
        for plane in self.planes.values():
            await plane.stop()
        if self.real:
            await self.real.stop()
        if self._state:
            self._state.save(self.world)
            self._state.close()
        self._objects.close()

    def reset(self) -> None:
        """Back to an empty world: no objects, no faults, no log."""
        self.world.restore({"tables": {}})
        self.world.sow()
        self._objects.clear()
        self.log.clear()
        self.faults.clear()
        self._save()

    def snapshot(self) -> dict[str, Any]:
        """Everything that exists, as JSON for `restore`."""
        self.world.settle()
        return {"world": self.world.snapshot(), "objects": self._objects.snapshot()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Become what a snapshot says."""
        self.world.restore(snapshot["world"])
        self._objects.restore(snapshot.get("objects", {}))
        self._save()

    def endpoints(self) -> dict[str, Any]:
        """Addresses of the API and of the data planes, and the environment that points a client at them."""
        addresses = {"api": self.url, **{name: plane.url for name, plane in self.planes.items()}}
        environment = {
            "SCW_API_URL": self.url,
            "SCW_ACCESS_KEY": ACCESS_KEY,
            "SCW_SECRET_KEY": SECRET_KEY,
            "SCW_DEFAULT_PROJECT_ID": DEFAULT_PROJECT,
            "SCW_DEFAULT_ORGANIZATION_ID": DEFAULT_ORGANIZATION,
            "SCW_DEFAULT_REGION": "fr-par",
            "SCW_DEFAULT_ZONE": "fr-par-1",
        }
        for name in ("s3", "sqs"):
            if name in addresses:
                environment[f"AWS_ENDPOINT_URL_{name.upper()}"] = addresses[name]
        if "cockpit" in addresses:
            environment["SCALEWAY_INFRA_COCKPIT_URL"] = addresses["cockpit"]
        return {**addresses, "environment": environment}

    def _save(self) -> None:
        if not self.world.changed:
            return
        if self._state:
            self._state.save(self.world)
        self.world.changed.clear()
        if self.real:
            self.real.wake()

    # -- requests ----------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.content.read()
        path = unquote(request.rel_url.raw_path)
        if path.startswith(control.PREFIX):
            return respond(self._controlled(request, path, raw))
        started = time.perf_counter()
        found = self.router.find(request.method, path)
        operation = found[0].operation if found else f"{request.method} {path}"
        mutating = request.method not in ("GET", "HEAD")
        fault: faults.Fault | None = None
        reply: Reply | None
        try:
            call, route, key = self._admit(request, path, raw, found)
            fault = self.faults.take(operation, mutating, f"{request.method} {path}")
            reply = await self._serve(route, call, key, fault)
        except ApiError as error:
            reply = Reply(error.body, error.status, error.headers)
        except Exception:
            # A fault of ours must look like one of theirs: a client meets a 500, and the emulator lives on.
            traceback.print_exc()
            reply = Reply({"message": "Internal error"}, 500)
        changed, settles = self.world.set_in_motion() if mutating else ((), 0.0)
        self._save()
        self.log.record(
            at=self.world.timestamp(),
            operation=operation,
            method=request.method,
            path=path,
            status=reply.status if reply else 0,
            duration_ms=(time.perf_counter() - started) * 1000,
            mutating=mutating,
            fault=fault.kind if fault else None,
            changed=changed,
            settles_ms=settles * 1000,
        )
        return respond(reply) if reply else cut(request)

    def _admit(
        self, request: web.BaseRequest, path: str, raw: bytes, found: tuple[Route, dict[str, str]] | None
    ) -> tuple[Call, Route, dict[str, Any] | None]:
        """Who calls what: the parsed call, its route and the IAM key behind it."""
        token = request.headers.get("X-Auth-Token", "")
        if not token:
            raise denied_authentication()
        key = authenticate(self.world, token)
        if found is None:
            raise self._unknown(request.method, path)
        route, params = found
        query = parse_qs(request.rel_url.raw_query_string, keep_blank_values=True)
        body = parse(raw, request.headers.get("Content-Type", ""))
        call = Call(self.world, request.method, path, params, query, body, raw, token, route.operation)
        return call, route, key

    def _unknown(self, method: str, path: str) -> ApiError:
        # Not a 404 below a known product: a client would take it for the object being gone.
        if self.router.serves(path):
            return ApiError(501, {"message": f"{method} {path} is not emulated", "type": "not_implemented"})
        return ApiError(404, {"message": "Not Found"})

    async def _serve(
        self, route: Route, call: Call, key: dict[str, Any] | None, fault: faults.Fault | None
    ) -> Reply | None:
        """Wait, run the handler, let the fault strike. None: the connection is to be cut."""
        kind = fault.kind if fault else None
        if fault and kind in faults.BEFORE:
            if kind == "reset":
                return None
            raise fault.error()
        delay = pace.seconds(route, self.world.latency) + (fault.seconds if fault and kind == "slow" else 0.0)
        if delay:
            await asyncio.sleep(delay)
        self.world.settle()
        self._save()
        authorize(route, key, call)
        answer = route.handler(call)
        hide_orphans(route, call, answer)
        if kind == "stuck":
            faults.stick(self.world)
        elif kind == "error_state":
            faults.fail(self.world)
        elif fault and kind == "response_lost":
            return Reply({"message": "upstream request timeout"}, fault.status) if fault.status else None
        return as_reply(answer)

    def _controlled(self, request: web.BaseRequest, path: str, raw: bytes) -> Reply:
        query = parse_qs(request.rel_url.raw_query_string, keep_blank_values=True)
        try:
            return as_reply(self._control.answer(request.method, path, query, parse(raw, "")))
        except ApiError as error:
            return Reply(error.body, error.status)


def parse(raw: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in a body; {} for no body and for text.

    Raises:
        ApiError: 400 for anything else.
    """
    if not raw or content_type.startswith(("text/", "application/octet-stream")):
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise invalid_arguments(("body", "format", "must be a JSON object"))
    return body


def as_reply(answer: Answer) -> Reply:
    """What a handler returned, in full."""
    if answer is None:
        return Reply(None, 204)
    return answer if isinstance(answer, Reply) else Reply(answer)


def respond(reply: Reply) -> web.Response:
    """The HTTP form of a reply."""
    if reply.body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    if isinstance(reply.body, (str, bytes)):
        body, kind = reply.body, reply.content_type
    else:
        body, kind = json.dumps(reply.body), "application/json"
    payload = body.encode() if isinstance(body, str) else body
    return web.Response(status=reply.status, headers={**reply.headers, "Content-Type": kind}, body=payload)


async def serve(emulator: Emulator, port: int) -> None:
    """Run until SIGINT or SIGTERM."""
    done = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, done.set)
    await emulator.start(port)
    endpoints = emulator.endpoints()
    environment = endpoints.pop("environment")
    lines = [f"{name:<12}{address}" for name, address in endpoints.items()]
    lines += ["", *(f"export {name}={value}" for name, value in environment.items()), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
    await done.wait()
    await emulator.stop()


def run(port: int, latency: float = 0.0, state: Path | None = None, real: Path | None = None) -> int:
    """Run the emulator in the foreground until it is told to stop.

    Args:
        port: of the Scaleway API; 0 takes a free one.
        latency: factor on Scaleway's real delays.
        state: SQLite file that keeps the world over restarts.
        real: folder of the real things behind the API; None has none.

    Returns:
        The exit code: 0, or 1 with one line on standard error if the port or the file cannot be used.
    """
    try:
        asyncio.run(serve(Emulator(latency, state, real=real), port))
    except (PortInUseError, StateFileError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 1
    return 0
