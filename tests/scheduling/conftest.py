from collections.abc import AsyncIterator

import pytest

from hubbub.testing import settle
from tests.kit.kept import Kept, note, tasks


@pytest.fixture(params=[False, True], ids=["at the first", "later"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    """Before and after what stands by has begun; at the end nothing is left."""
    assert not tasks()
    kept = Kept()
    if request.param:
        assert await kept.begin(note(kept, "prepared")) == [None]
        kept.notes.clear()
        await settle()
    yield kept
    kept.eager.stop()
    await settle()
    assert not tasks()
