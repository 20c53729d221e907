"""Small blocks, so that small tables lie over many; and hypothesis without deadlines."""

import importlib

import pytest
from hypothesis import settings

settings.register_profile("projections", deadline=None)
settings.load_profile("projections")

SMALL = {"BLOCK_ROWS": 4, "SEGMENT_BLOCKS": 2, "FIRST_POSITIONS": 5}
USERS = ["head", "list_pages", "product_lookup", "ranking", "read_model_tables"]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 4 rows, segments of 2 blocks, and lists whose own block has 5 rows."""
    for name in [*USERS, "read_model_writer"]:
        module = importlib.import_module(f"projections.{name}")
        for constant, value in SMALL.items():
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, value)
