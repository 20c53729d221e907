"""Pages of a list, the same for GraphQL and REST: of now, of a cursor's version, or of the past."""

from datetime import datetime
from typing import Final

import msgspec

from projections.errors import CategoryUnknown, NotYetPublished, VersionGone
from projections.ranking_lists import FIRST_POSITIONS, RankedCategory, RankingList, RankingPage
from projections.rankings_query import RankingsView
from subgraph.arguments import id_argument, instant_argument, page_size_argument
from subgraph.cursors import CursorCodec, ListPosition
from subgraph.errors import CursorExpired, NotFound
from write_side.hours import hour_of


class ArgumentNames(msgspec.Struct, frozen=True):
    """How a protocol calls the arguments of a page, for errors that name them."""

    category_id: str
    limit: str
    cursor: str
    as_of: str


GRAPHQL_NAMES: Final = ArgumentNames("categoryId", "first", "after", "asOf")
REST_NAMES: Final = ArgumentNames("category_id", "limit", "cursor", "as_of")


class PageRequest(msgspec.Struct, frozen=True):
    """A page that someone asked for, checked: also the key under which equal ones are one."""

    ranking: RankingList
    limit: int
    after: ListPosition | None = None
    as_of: datetime | None = None

    @property
    def offset(self) -> int:
        """Rows of the list before the page."""
        return 0 if self.after is None else self.after.offset

    @property
    def as_of_hour(self) -> int | None:
        """The hour that a page of the past is asked for, null for one of now."""
        return None if self.as_of is None else hour_of(self.as_of)


def page_request(
    cursors: CursorCodec,
    names: ArgumentNames,
    ranking: RankingList,
    limit: int,
    cursor: str | None = None,
    as_of: str | None = None,
) -> PageRequest:
    """Check what a client asks for; raises `BadArgument`."""
    id_argument(names.category_id, ranking.category_id)
    page_size_argument(names.limit, limit)
    instant = None if as_of is None else instant_argument(names.as_of, as_of)
    hour = None if instant is None else hour_of(instant)
    after = None if cursor is None else cursors.position(names.cursor, cursor, ranking, hour)
    return PageRequest(ranking, limit, after, instant)


async def read_page(view: RankingsView, request: PageRequest) -> RankingPage:
    """Read a page; raises `NotFound`, `CursorExpired` and the view's `ReadModelUnavailable`."""
    ranking, after = request.ranking, request.after
    try:
        if request.as_of is None:
            at = None if after is None else after.at
            return await view.page(ranking, request.offset, request.limit, at)
        if after is None:
            return await view.page_as_of(ranking, request.as_of, 0, request.limit)
        return await view.page_at_version(ranking, after.at.version, after.offset, request.limit)
    except CategoryUnknown:
        raise NotFound(
            f"no sale was ever recorded in category {ranking.category_id!r}. Check its id."
        ) from None
    except NotYetPublished:
        raise NotFound(
            f"no ranking of category {ranking.category_id!r} was published by {request.as_of}."
            " Ask for a later instant."
        ) from None
    except VersionGone:
        raise CursorExpired(
            "the version that this cursor reads was replaced too long ago. Begin again without it."
        ) from None


def has_next_page(request: PageRequest, page: RankingPage) -> bool:
    """Return whether rows follow; of a list of the past only the first 100 positions are kept."""
    kept = page.total_count
    if request.as_of is not None:
        kept = min(kept, FIRST_POSITIONS)
    return bool(page.items) and page.offset + len(page.items) < kept


def cursor_after(cursors: CursorCodec, request: PageRequest, page: RankingPage, row: int) -> str:
    """Write the cursor of a page's row, 0 for its first: the next page begins after it."""
    position = ListPosition(page.at, page.offset + row + 1)
    return cursors.of_position(request.ranking, position, request.as_of_hour)


class CategoryPage(msgspec.Struct, frozen=True):
    """Some consecutive known categories, in byte order of their ids."""

    items: list[RankedCategory]
    total_count: int
    has_next: bool


def read_categories(view: RankingsView, after: str | None, limit: int) -> CategoryPage:
    """Read up to `limit` categories whose ids follow `after`."""
    items = view.categories(after, limit + 1)
    return CategoryPage(items[:limit], view.category_count(), len(items) > limit)
