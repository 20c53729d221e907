from write_side.feed.completeness import Sighting, Stillness

SECOND = 1_000_000_000


def test_a_file_first_seen_is_judged_by_its_own_time() -> None:
    stillness = Stillness(2)
    assert stillness.stands_still("old", Sighting(1, 98 * SECOND), now=100)
    assert not stillness.stands_still("new", Sighting(1, 99 * SECOND), now=100)


def test_a_file_that_grows_has_to_stand_still_anew_even_with_an_old_time() -> None:
    stillness = Stillness(2)
    assert stillness.stands_still("a", Sighting(1, 0), now=100)
    assert not stillness.stands_still("a", Sighting(2, 0), now=101)
    assert not stillness.stands_still("a", Sighting(2, 0), now=102.5)
    assert stillness.stands_still("a", Sighting(2, 0), now=103)


def test_a_time_in_the_future_does_not_keep_a_file_waiting_for_it() -> None:
    stillness = Stillness(2)
    future = Sighting(1, 10_000 * SECOND)
    assert [stillness.stands_still("a", future, now) for now in (100, 101, 102)] == [
        False,
        False,
        True,
    ]


def test_a_file_that_went_and_came_back_is_seen_for_the_first_time() -> None:
    stillness = Stillness(2)
    stillness.stands_still("a", Sighting(1, 99 * SECOND), now=100)
    stillness.forget_all_but([])
    assert not stillness.stands_still("a", Sighting(1, 102 * SECOND), now=103)


def test_without_a_time_to_settle_a_file_is_complete_at_once() -> None:
    stillness = Stillness(0)
    assert stillness.stands_still("a", Sighting(1, 100 * SECOND), now=100)
    assert stillness.stands_still("a", Sighting(2, 100 * SECOND), now=100)
