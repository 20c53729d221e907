"""The process that keeps the one embedded Redis server of a home, and ends it.

It runs as a file of its own, on the standard library alone, so that it starts in milliseconds
and holds little memory beside the server:

    python -I -S embedded_redis_keeper.py FOLDER SOCKET SERVER_PROGRAM

FOLDER becomes the working folder of keeper and server, and all names in it are relative: a folder
that is removed or moved, and then made anew by other commands, is never touched by an old keeper.

Three locks (flock) in the folder say who lives; the kernel frees them however a process dies:

    users.lock   shared by every command that uses the server
    keeper.lock  held by the keeper, which inherits it locked from the command that starts it
    server.lock  held by the server, which inherits it locked from the keeper

The keeper starts the server where none lives, starts it again when it was killed, and stops it
when nobody uses it any more. It ends while it still holds users.lock, so that a command which
comes meanwhile waits and then begins anew.
"""

import contextlib
import ctypes
import enum
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

USERS_LOCK = "users.lock"
KEEPER_LOCK = "keeper.lock"
SERVER_LOCK = "server.lock"
SERVER_LOG = "redis.log"
KEEPER_LOG = "keeper.log"
START_FAILURE = "start-failure.txt"

POLL_SECONDS = 0.1
"""How often the keeper looks at the locks."""
LINGER_SECONDS = 2.0
"""How long the server outlives its last user: a script's commands then share one server."""
STOP_SECONDS = 60.0
"""How long a server may take to write out its log before it is killed."""
SOCKET_GRACE_SECONDS = 5.0
"""How long a server may live without its socket: cleaners of /tmp take sockets away."""
RESTART_PAUSE_LIMIT_SECONDS = 10.0
"""The longest pause between two starts of a server that keeps on dying."""
LOG_LIMIT_BYTES = 4 * 1024 * 1024
"""A server log above this is put aside (one is kept) when the server starts."""

SERVER_OPTIONS: tuple[tuple[str, ...], ...] = (
    ("port", "0"),
    ("unixsocketperm", "700"),
    ("appendonly", "yes"),
    # The log is written before each answer, and the kernel brings it to the disk. With
    # `everysec` an answer may go out up to 2 seconds before its write, while a sync is under
    # way: a kill would lose what a command had reported. What a power cut takes, the worker
    # folds again from the event store.
    ("appendfsync", "no"),
    ("aof-use-rdb-preamble", "yes"),
    ("aof-load-truncated", "yes"),
    ("auto-aof-rewrite-percentage", "100"),
    ("auto-aof-rewrite-min-size", "256mb"),
    ("save", ""),
    # The blocks are compressed already.
    ("rdbcompression", "no"),
    ("maxmemory-policy", "noeviction"),
    # The name that Redis 6.2 knows too; newer servers read it as hash-max-listpack-entries.
    ("hash-max-ziplist-entries", "512"),
    # Segments of half a megabyte go in the background, never in a reader's way.
    ("lazyfree-lazy-expire", "yes"),
    ("lazyfree-lazy-server-del", "yes"),
    ("lazyfree-lazy-user-del", "yes"),
    # `enable-debug-command no` for all versions: Redis 6.2 does not know that setting.
    ("rename-command", "DEBUG", ""),
    ("always-show-logo", "no"),
    ("logfile", SERVER_LOG),
)


class ServerState(enum.Enum):
    """What a server says when it is asked."""

    SILENT = "silent"
    LOADING = "loading"
    READY = "ready"


def server_state(socket_path: str) -> ServerState:
    """Ask the server at `socket_path` whether it serves. Blocks for a second or two at most."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(socket_path)
            connection.sendall(b"PING\r\n")
            answer = connection.recv(64)
        except OSError:
            return ServerState.SILENT
    if not answer:
        return ServerState.SILENT
    return ServerState.LOADING if answer.startswith(b"-LOADING") else ServerState.READY


def lock_now(path: Path, mode: int, *, create: bool = False) -> int | None:
    """Open `path` and lock it (`fcntl.LOCK_EX` or `LOCK_SH`); None where others hold it.

    The descriptor is closed on exec. Raises OSError where the file cannot be opened (made, with
    `create`), or its file system has no locks.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def last_log_line(log: Path, start: int = 0) -> str:
    """Return the last word in `log` after the byte `start`, warnings before notices."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    warnings = [line for line in lines if " # " in line and " # WARNING" not in line]
    for line in reversed(warnings or lines):
        return line.partition(" # ")[2] or line.partition(" * ")[2] or line
    return ""


def keep(socket_path: str, program: str) -> None:
    """Keep a server in the working folder as long as somebody holds users.lock, then stop it.

    `socket_path` is a name in that folder, or absolute. Writes START_FAILURE and returns where the
    first server that it starts refuses to run.
    """
    try:
        _Keeper(Path(socket_path), program).run()
    except BaseException:
        logging.exception("The keeper ended")
        raise


class _Keeper:
    """One server's keeper: the child that it started, if it did, and what it saw of it."""

    def __init__(self, socket_file: Path, program: str) -> None:
        self._socket = socket_file
        self._program = program
        self._server: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._log_start = 0
        self._has_answered = False
        self._deaths = 0
        self._socket_seen_at = 0.0

    def run(self) -> None:
        Path(SERVER_LOCK).touch(mode=0o600)
        unused_since: float | None = None
        while True:
            try:
                users = lock_now(Path(USERS_LOCK), fcntl.LOCK_EX)
                if users is None:
                    unused_since = None
                else:
                    unused_since = unused_since or time.monotonic()
                    if self._server is None or time.monotonic() - unused_since >= LINGER_SECONDS:
                        break
                    os.close(users)
                if not self._tend():
                    return
            except FileNotFoundError:
                # The home was removed, and with it all that there was to keep.
                break
            time.sleep(POLL_SECONDS)
        # Where nobody uses the server, users.lock stays held until this process has ended.
        self._stop()

    def _tend(self) -> bool:
        """Start the server where none lives; False where it refuses to start."""
        lock = lock_now(Path(SERVER_LOCK), fcntl.LOCK_EX)
        if lock is None:
            self._look_after()
            return True
        try:
            if self._server is not None:
                if self._server.wait() > 0 and not self._has_answered:
                    self._report_failure(last_log_line(Path(SERVER_LOG), self._log_start))
                    return False
                logging.warning("The server ended (%s), starting it", self._server.returncode)
                self._deaths = 0 if self._age() > RESTART_PAUSE_LIMIT_SECONDS else self._deaths + 1
                if self._deaths > 1:
                    pause = POLL_SECONDS * 2.0 ** min(self._deaths, 10)
                    time.sleep(min(pause, RESTART_PAUSE_LIMIT_SECONDS))
            try:
                self._start(lock)
            except OSError as error:
                self._report_failure(f"{self._program}: {error.strerror}")
                return False
        finally:
            # The server alone holds the lock now, so that it is free once the server is gone.
            os.close(lock)
        return True

    def _age(self) -> float:
        return time.monotonic() - self._started_at

    def _start(self, server_lock: int) -> None:
        log = Path(SERVER_LOG)
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_LIMIT_BYTES:
                log.replace(log.with_suffix(".log.old"))
        self._log_start = log.stat().st_size if log.exists() else 0
        self._has_answered = False if self._server is None else self._has_answered
        self._server = subprocess.Popen(  # noqa: S603
            _server_command(self._program, self._socket),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(server_lock,),
            preexec_fn=_end_with_parent(),
        )
        self._started_at = self._socket_seen_at = time.monotonic()

    def _look_after(self) -> None:
        now = time.monotonic()
        if not self._has_answered:
            self._has_answered = server_state(str(self._socket)) is not ServerState.SILENT
        if self._socket.exists():
            self._socket_seen_at = now
        elif self._server is not None and now - self._socket_seen_at > SOCKET_GRACE_SECONDS:
            logging.warning("The socket %s is gone, restarting the server", self._socket)
            self._socket_seen_at = now
            self._server.terminate()

    def _stop(self) -> None:
        if self._server is None:
            _ask_to_shut_down(self._socket)
        elif self._server.poll() is None:
            self._server.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while not self._is_gone():
            if time.monotonic() > deadline:
                logging.error("The server did not end in %s s", STOP_SECONDS)
                if self._server is not None:
                    self._server.kill()
                break
            time.sleep(POLL_SECONDS / 5)
        if self._socket.is_absolute():
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()

    def _is_gone(self) -> bool:
        if self._server is not None and self._server.poll() is not None:
            return True
        try:
            lock = lock_now(Path(SERVER_LOCK), fcntl.LOCK_EX)
        except FileNotFoundError:
            # The home was removed: its own child is all that is left to wait for.
            return self._server is None
        if lock is not None:
            os.close(lock)
        return lock is not None

    def _report_failure(self, reason: str) -> None:
        logging.error("The server did not start: %s", reason)
        failure = Path(START_FAILURE)
        partial = failure.with_suffix(".tmp")
        partial.write_text(reason, encoding="utf-8")
        partial.replace(failure)


def _server_command(program: str, socket_file: Path) -> list[str]:
    command = [program]
    for name, *values in (*SERVER_OPTIONS, ("unixsocket", str(socket_file))):
        command += [f"--{name}", *values]
    return command


def _ask_to_shut_down(path: Path) -> None:
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
    ):
        connection.settimeout(STOP_SECONDS)
        connection.connect(str(path))
        connection.sendall(b"SHUTDOWN\r\n")
        connection.recv(64)


def _end_with_parent() -> Callable[[], None] | None:
    """Linux: let the kernel stop the server when the keeper is killed.

    The next keeper starts it again; a server without a keeper would stay for ever once its users
    are killed too. Elsewhere the next keeper adopts the living server.
    """
    if sys.platform != "linux":
        return None
    set_parent_death_signal = 1
    prctl = ctypes.CDLL(None).prctl
    keeper = os.getpid()

    def arrange() -> None:
        prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() != keeper:
            os._exit(1)

    return arrange


def main(arguments: Sequence[str]) -> None:
    """Leave the command that started this process, and keep the server."""
    folder, socket_path, program = arguments
    # The command waits for this process only: the fork's child is nobody's zombie later.
    if os.fork():
        os._exit(0)
    os.chdir(folder)
    os.umask(0o077)
    logging.basicConfig(filename=KEEPER_LOG, format="%(asctime)s %(levelname)s %(message)s")
    keep(socket_path, program)


if __name__ == "__main__":
    main(sys.argv[1:])
