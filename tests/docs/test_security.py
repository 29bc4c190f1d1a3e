"""The page's rows are whole: each class has its number, a test that shows it, and a figure."""

import re

import pytest

from tests.docs.pages import read
from tests.hostile.attack.__main__ import BEGIN, END, TOGETHER, main, written
from tests.hostile.attack.attacks import ATTACKS

PAGE = "SECURITY.md"
TEST = re.compile(r"`tests/[\w/]+\.py::\w+`")


def rows() -> list[list[str]]:
    """The cells of each row that has a number."""
    lines = [line for line in read(PAGE).splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_every_class_has_its_row_in_order() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, 48))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_says_what_is_done_names_its_tests_and_has_a_figure(row: list[str]) -> None:
    """That the tests exist is looked up with those of all pages."""
    _, against, done, shown, figure = row
    assert against
    assert done
    assert figure
    assert all(map(TEST.fullmatch, shown.split(", "))) or shown.startswith("not applicable: ")


def test_every_attack_has_a_row_with_its_figures() -> None:
    table = read(PAGE).partition(BEGIN)[2].partition(END)[0]
    said = re.findall(r"^\| ([^|]+?) \| [\d,.]+ ms \|", table, re.MULTILINE)
    assert said == [*(attack.says for attack in ATTACKS.values()), TOGETHER]


def test_figures_take_the_place_of_those_before() -> None:
    page = f"one\n{BEGIN}\n\nold\n\n{END}\ntwo\n"
    assert written(page, "new") == f"one\n{BEGIN}\n\nnew\n\n{END}\ntwo\n"


@pytest.mark.parametrize(
    ("arguments", "said"), [(["pung"], "no such attack: pung"), (["ping", "--page"], "--page needs all attacks")]
)
def test_what_cannot_be_measured_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
