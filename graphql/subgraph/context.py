"""What the resolvers of one operation share."""

from functools import cached_property

from projections.ranking_lists import ListVersion
from projections.rankings_query import LiveRankings, RankingsView
from subgraph.cursors import CursorCodec
from subgraph.loaders import RankingLoaders


class OperationContext:
    """One operation's view, loaders and settings; never shared by two operations."""

    def __init__(self, rankings: LiveRankings, currency: str, cursors: CursorCodec) -> None:
        """Take the process's rankings, the feed's currency and the cursors' codec."""
        self.rankings = rankings
        self.currency = currency
        self.cursors = cursors
        self.reads_event_store = False
        """Whether an answer depends on more than the versions that the view touched."""

    @cached_property
    def view(self) -> RankingsView:
        """The operation's view, taken when it is first needed: raises `ReadModelUnavailable`."""
        return self.rankings.view()

    @cached_property
    def loaders(self) -> RankingLoaders:
        """The operation's loaders."""
        return RankingLoaders(lambda: self.view)

    def touched(self) -> dict[int, ListVersion | None]:
        """Return the partitions that the answers so far depend on, none where no view was taken."""
        # What a cached property computed lies in the instance's own dictionary.
        return dict(self.view.touched()) if "view" in self.__dict__ else {}
