import subprocess
import sys
from pathlib import Path

import pytest

from topsellers.errors import HomeUnusable
from topsellers.secret_keys import FILE_NAME, pseudonym_key, secret_keys
from topsellers.settings import Settings, read_settings

MAKE = """
import sys
from topsellers.secret_keys import secret_keys
from topsellers.settings import read_settings
print(secret_keys(read_settings({"TOPSELLERS_HOME": sys.argv[1]}))[0].decode())
"""


def settings(home: Path, **given: str) -> Settings:
    return read_settings({"TOPSELLERS_HOME": str(home), **given})


def test_a_home_has_one_key_that_its_owner_alone_may_read(tmp_path: Path) -> None:
    (key,) = secret_keys(settings(tmp_path))
    assert len(key) >= 32
    assert secret_keys(settings(tmp_path)) == (key,)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_commands_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    assert len({command.communicate()[0] for command in commands}) == 1


def test_keys_that_are_set_need_no_file(tmp_path: Path) -> None:
    given = settings(tmp_path, TOPSELLERS_SECRET_KEY=f"{'n' * 16},{'o' * 16}")
    assert secret_keys(given) == (b"n" * 16, b"o" * 16)
    assert not list(tmp_path.iterdir())


def test_pseudonyms_have_a_key_of_their_own_of_the_newest_secret() -> None:
    new, old = b"n" * 16, b"o" * 16
    assert pseudonym_key([new, old]) == pseudonym_key([new])
    assert pseudonym_key([old]) != pseudonym_key([new])
    assert len(pseudonym_key([new])) == 32


@pytest.mark.parametrize("content", [b"", b"short\n"])
def test_a_damaged_key_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(HomeUnusable, match=FILE_NAME):
        secret_keys(settings(tmp_path))


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="TOPSELLERS_HOME"):
        secret_keys(settings(tmp_path / "missing"))
