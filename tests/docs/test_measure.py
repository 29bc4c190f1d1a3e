"""`docs/howto/measure.md`: its program measures a real server. The command is tested in `tests/loadtest`."""

from collections.abc import Callable
from types import ModuleType

from hubbub.loadtest.dialect import Dialect
from hubbub.loadtest.workloads import KINDS
from tests.docs.pages import plain, read, rows, sections
from tests.kit.running import Served

PAGE = "docs/howto/measure.md"


def test_the_program_measures(example: Callable[[str, str], ModuleType]) -> None:
    module = example(PAGE, "measure.py")
    with Served("--dev") as server:
        assert 0 < module.measure(server.url) < 60_000


def test_every_workload_is_there() -> None:
    assert [plain(row[0]) for row in rows(sections(PAGE)["Four workloads"])] == list(KINDS)


def test_a_dialect_has_as_many_members_as_it_says() -> None:
    members = [name for name in vars(Dialect) if not name.startswith("_")]
    assert len(members) == 8
    assert "the eight members of\n`hubbub.loadtest.dialect.Dialect`" in read(PAGE)
