"""CONTRIBUTING's map is the tree's, and no folder or file has grown too full."""

import re

from devtools import code_map
from devtools.local.processes import ROOT
from tests.documents import CONTRIBUTING, code, table, words

MOST_MODULES = 13
MOST_LINES = 400
REMAKE = "`make map` remakes the table"
FOLDERS = [words(name)[0].rstrip("/") for name, _, _ in table(CONTRIBUTING, "### The rooms")]
LARGEST = [words(name)[0] for name, _ in table(CONTRIBUTING, "### The largest files")]


def test_it_names_every_folder() -> None:
    assert list(code_map.modules()) == FOLDERS, REMAKE


def test_no_folder_is_too_full() -> None:
    too_full = {name: count for name, count in code_map.modules().items() if count > MOST_MODULES}
    assert too_full == {}, "name the sub-folder that waits in there"


def test_no_file_is_too_long() -> None:
    assert f"more than {MOST_LINES} lines" in CONTRIBUTING.read_text()
    assert {file: lines for file, lines in code_map.lines().items() if lines > MOST_LINES} == {}


def test_it_names_the_largest_files() -> None:
    lines = code_map.lines()
    assert [file for file in LARGEST if file not in lines] == [], REMAKE
    smallest = min(lines[file] for file in LARGEST)
    others = lines.keys() - LARGEST
    assert {file for file in others if lines[file] > 1.25 * smallest} == set(), REMAKE


def test_it_follows_a_push_through_every_file_on_its_way() -> None:
    page = CONTRIBUTING.read_text()
    way = page[page.index("### The way of a push") : page.index("### Where something new goes")]
    on_the_way = ("service/push/", "worker/claiming/", "worker/attempt/")
    there = {file for file in code_map.lines() if file.startswith(on_the_way)}
    named = {word for word in words(way) if word.startswith(on_the_way)}
    assert named == {
        file for file in there if file.endswith(".py") and not file.endswith("__init__.py")
    } | {"worker/claiming/claim.lua"}


def test_it_names_files_and_folders_that_exist() -> None:
    paths = [text for text in code(CONTRIBUTING) if re.fullmatch(r"[\w.-]+/[\w./-]*", text)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_its_tables_can_be_remade() -> None:
    page = CONTRIBUTING.read_text()
    remade = code_map.remade(page)
    assert code_map.remade(remade) == remade
    assert [line for line in remade.splitlines() if not line.startswith("| `")] == [
        line for line in page.splitlines() if not line.startswith("| `")
    ]
