"""Several worker processes on one machine, and the parent that starts them, replaces the dead and ends them all.

The parent serves nothing. It has no event loop and no threads, so a worker is a plain `fork`: it shares the memory of
what was imported, the listening socket, and the lock of the data folder. Between workers there are datagram sockets,
an inbox for each, which the parent holds too: what is sent to a worker that has just died waits for the next one.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

END_SECONDS = 10.0
"""What workers get to end in; they drain their answers in less."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0
"""Seconds before a worker is replaced: at first, and when one after the other dies."""
STEADY_SECONDS = 60.0
"""A worker that has lived so long was none of those."""
INBOX_BYTES = 1_000_000
"""The room that is asked for; systems give less. A message is the beginning of a request, as far as it was read."""

_ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Seat:
    """One worker's place, which it inherits: its replacement gets the same."""

    number: int
    inbox: socket.socket
    outboxes: Sequence[socket.socket]
    """To each worker's inbox, by number."""
    lifeline: int
    """Can be read, and is at its end, when the parent is gone."""
    ready: int

    def tell_ready(self) -> None:
        os.write(self.ready, b".")


@dataclass(slots=True)
class _Worker:
    seat: Seat
    pid: int | None = None
    began: float = 0.0
    delay: float = FIRST_DELAY
    due: float = field(default=0.0)
    """When to start it, while it does not run."""


class Parent:
    def __init__(
        self, count: int, listener: socket.socket, run: Callable[[Seat], int], announce: Callable[[], None]
    ) -> None:
        """`run` is a worker's life and tells its exit status; `announce` is called once, when all are ready."""
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for inbox, outbox in pairs:
            inbox.setblocking(False)
            outbox.setblocking(False)
            inbox.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, INBOX_BYTES)
            outbox.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, INBOX_BYTES)
        self._lifeline, self._held = os.pipe()
        self._ready, tell_ready = os.pipe()
        outboxes = [outbox for _, outbox in pairs]
        self._workers = [
            _Worker(Seat(number, inbox, outboxes, self._lifeline, tell_ready))
            for number, (inbox, _) in enumerate(pairs)
        ]
        self._listener = listener
        self._run = run
        self._announce = announce
        self._unready = count
        self._told_to_end = False
        self._bell, self._ring = os.pipe()
        for descriptor in (self._bell, self._ring):
            os.set_blocking(descriptor, False)

    def serve(self) -> int:
        """Until told to end. Returns in the parent, and in every worker as well; the exit status of each."""
        signal.set_wakeup_fd(self._ring)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _ENDING:
            signal.signal(number, self._note_the_end)
        gc.freeze()  # a collection would write to what is shared, and so make a copy of it in each worker
        while True:
            for worker in self._workers:
                if worker.pid is None and worker.due <= time.monotonic() and self._start(worker):
                    return self._run(worker.seat)
            self._wait()
            ended = self._reap()
            if self._told_to_end:
                return self._end(0)
            if ended is not None and self._unready:
                return self._end(ended or 1)  # it has said why

    def _note_the_end(self, *_: object) -> None:
        self._told_to_end = True

    def _start(self, worker: _Worker) -> bool:
        """Whether this is the new worker."""
        worker.began = time.monotonic()
        # A signal for the worker waits until its handlers are no longer those of the parent.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        worker.pid = os.fork()
        if worker.pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
            return False
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *_ENDING):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        for descriptor in (self._held, self._ready, self._bell, self._ring):
            os.close(descriptor)
        for other in self._workers:
            if other is not worker:
                other.seat.inbox.close()
        return True

    def _wait(self) -> None:
        """Until something happens, or a worker is to be started."""
        due = [worker.due for worker in self._workers if worker.pid is None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        found, _, _ = select.select([self._bell, self._ready], [], [], timeout)
        if self._bell in found:
            os.read(self._bell, 4096)
        if self._ready in found:
            ready = len(os.read(self._ready, 4096))
            if self._unready:
                self._unready = max(0, self._unready - ready)
                if not self._unready:
                    self._announce()

    def _reap(self) -> int | None:
        """Note who has ended. The exit status of one of them, if there are any."""
        ended = None
        for worker in self._workers:
            if worker.pid is None:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            ended = os.waitstatus_to_exitcode(status)
            now = time.monotonic()
            if now - worker.began > STEADY_SECONDS:
                worker.delay = FIRST_DELAY
            worker.pid, worker.due = None, now + worker.delay
            worker.delay = min(worker.delay * 2, LONGEST_DELAY)
            if not self._told_to_end:
                log.error("worker ended", extra={"worker": worker.seat.number, "pid": pid, "status": ended})
        return ended

    def _end(self, status: int) -> int:
        """Tell all workers to end, wait for them, and kill what does not."""
        self._told_to_end = True
        self._listener.close()
        deadline = time.monotonic() + END_SECONDS
        for worker in self._workers:
            if worker.pid is not None:
                os.kill(worker.pid, signal.SIGTERM)
        while any(worker.pid is not None for worker in self._workers):
            left = deadline - time.monotonic()
            if left < 0:
                status = 1
                for worker in self._workers:
                    if worker.pid is not None:
                        log.error("worker killed", extra={"worker": worker.seat.number, "pid": worker.pid})
                        os.kill(worker.pid, signal.SIGKILL)
                        os.waitpid(worker.pid, 0)
                return status
            if select.select([self._bell], [], [], left)[0]:
                os.read(self._bell, 4096)
            self._reap()
        return status
