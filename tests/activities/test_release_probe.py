"""The probe of a release: what it counts as failed, and what outlives its worker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment

from activities.release.probe import asking, counted_so_far, counting
from blueprint.errors import NotReady
from blueprint.release.record import ProbeRecord

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {"good": GOOD, "bad": b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "lost": b"", "half": GOOD[:-1]}


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that gives each connection the next answer, and no second one; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            answered = []
            for answer in answers:
                connection, _ = server.accept()
                connection.recv(65536)
                connection.sendall(answer)
                if answer in (ANSWERS["lost"], ANSWERS["half"]):
                    connection.close()
                # What was answered in full is closed late, and without notice: whoever asks over it waits in vain.
                answered.append(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://localhost:{server.getsockname()[1]}/"


def test_what_counts_as_failed() -> None:
    """All but a whole and good answer: one that was lost is not asked for again."""
    order = ["good", "lost", "good", "half", "bad", "good"]
    with answering(*(ANSWERS[name] for name in order)) as url:
        ask = asking(url, "127.0.0.1")
        assert [ask() for _ in order] == [name == "good" for name in order]
    assert not asking(url, "127.0.0.1")()


def test_another_worker_goes_on_counting() -> None:
    """One that stops has handed on what it counted; the next begins with it, and tells it when it is cancelled."""
    first, second, told = ActivityEnvironment(), ActivityEnvironment(), []
    first.on_heartbeat = lambda *details: told.append(details)

    def one_of_three() -> bool:
        if len(told) == 3:
            first.worker_shutdown()
        return len(told) != 2

    with pytest.raises(NotReady):
        first.run(lambda: counting(one_of_three, counted_so_far()))

    def cancelled_in_it() -> bool:
        second.cancel()
        return True

    second.info = replace(second.info, heartbeat_details=told[-1])

    @activity.defn(no_thread_cancel_exception=True)
    def probe() -> ProbeRecord:
        return counting(cancelled_in_it, counted_so_far())

    record = second.run(probe)
    assert (record.requests, record.failed) == (4, 1)
