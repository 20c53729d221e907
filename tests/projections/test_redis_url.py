import pytest

from projections.errors import RedisUrlInvalid
from projections.redis_url import parse_redis_url, redact


def test_a_single_node_is_left_to_redis_py() -> None:
    for url in "redis://h:1/2", "rediss://u:p@h?db=3", "unix:///tmp/r.sock":
        assert not parse_redis_url(url).is_cluster


def test_a_cluster_is_named_by_some_of_its_nodes() -> None:
    target = parse_redis_url("redis+cluster://h1:7000, h2,[::1]:7002")
    assert target.is_cluster
    assert target.nodes == (("h1", 7000), ("h2", 6379), ("::1", 7002))
    assert target.options == {}


def test_login_encryption_and_options_are_the_same_for_all_nodes_of_a_cluster() -> None:
    target = parse_redis_url(
        "rediss+cluster://me:p%40ss@h1,h2/0?socket_timeout=3&ssl_cert_reqs=none"
    )
    assert target.nodes == (("h1", 6379), ("h2", 6379))
    assert target.options == {
        "username": "me",
        "password": "p@ss",
        "ssl": True,
        "socket_timeout": 3.0,
        "ssl_cert_reqs": "none",
    }


@pytest.mark.parametrize(
    "url",
    ["", "h:6379", "rediss+cluster://h:1,:2", "redis+cluster://h/1", "redis+cluster://h?db=1"],
)
def test_what_is_no_redis_url_is_refused(url: str) -> None:
    with pytest.raises(RedisUrlInvalid):
        parse_redis_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("redis://:p@h:1", "redis://:***@h:1"),
        ("redis+cluster://me:p:q@r@h:1,h:2?db=0", "redis+cluster://me:***@h:1,h:2?db=0"),
        (
            "redis://h?ssl_password=p&db=1&password=q",
            "redis://h?ssl_password=***&db=1&password=***",
        ),
        ("me:p@h:1", "me:***@h:1"),
        ("redis://me:p/w@h", "redis://me:***@h"),
    ],
)
def test_passwords_are_never_shown(url: str, shown: str) -> None:
    assert redact(url) == shown
