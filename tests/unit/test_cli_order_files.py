import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.arguments import order_files
from cli.arguments.order_files import OrderFile

A = "0c3e1f2a-1111-6222-a333-444455556666"
B = "1c3e1f2a-1111-6222-a333-444455556666"
C = "2c3e1f2a-1111-6222-a333-444455556666"


def read(text: str) -> OrderFile:
    return order_files.read(text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B.upper()}\n",
        f"# missed on Sunday\r\n{A}\r\n\r\n  {B} # by hand",
        f'"{A}"\n"{B}"\n',
        f"'{A}'\n'{B}'\n",
        f"{A}\n{B}\n{A}\n",
        f"order_id\n{A}\n{B}\n",
        f"Klarna order ID\n{A}\n{B}\n",
        f"number,klarna_order_id,total\n1001,{A},6000\n1002,{B},100\n",
        f'"Number";"Klarna-Order-ID"\r\n"1001";"{A}"\r\n"1002";"{B}"\r\n',
        f"order_id\tklarna_order_id\n{C}\t{A}\n{C}\t{B}\n",
        f'order_id,name\n{A},"Shop, the"\n{B},"#1"\n',
        f"1001,{A},open\n1002,{B},open\n",
        f"order_id,klarna_id\n1001,{A}\n1002,{B}\n",
        f"order_id,reference\n1001,{A}\n1002,{B}\n",
        f'{{"klarna_order_id": "{A}", "order_id": "{C}"}}\n{{"order_id": "{B}"}}\n',
    ],
)
def test_it_finds_the_ids_in_whatever_a_shop_exports(text: str) -> None:
    assert read(text) == OrderFile([A, B], [])


@pytest.mark.parametrize("text", ["", "\n  \n", "# none today\n", "order_id\n", "a,order_id,b\r\n"])
def test_it_finds_nothing_where_there_is_nothing(text: str) -> None:
    assert read(text) == OrderFile([], [])


def test_it_names_each_line_at_fault_and_goes_on() -> None:
    found = read(
        f"not an id\n{A}\n\n{B}0\n\x1b[2J\n{A},{B}\n{{}}\n{{nonsense\n"
        f'{{"order_id": 7}}\n{"x" * 100}\n{C}\n'
    )
    assert found.ids == [A, C]
    columns = "klarna_order_id, kustom_order_id, klarna_id, order_id, checkout_order_id"
    several = (
        f"has several ids: name the columns in the first line, the order id's one of {columns}"
    )
    assert [(bad["line"], bad["detail"]) for bad in found.bad_lines] == [
        (1, "line 1: 'not an id' names no order id"),
        (4, f"line 4: '{B}0' names no order id"),
        (5, "line 5: '\\x1b[2J' names no order id"),
        (6, f"line 6: '{A},{B[:23]}' {several}"),
        (7, f"line 7: '{{}}' has none of {columns}"),
        (8, "line 8: '{nonsense' is no JSON"),
        (9, "line 9: '{\"order_id\": 7}' names no order id"),
        (10, f"line 10: '{'x' * 60}' names no order id"),
    ]


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ('{"a":' * 100_000, "is no JSON"),
        (f'"{"x" * 200_000}"', "is no CSV"),
    ],
)
def test_it_reads_on_after_a_line_that_no_reader_takes(line: str, detail: str) -> None:
    found = read(f"{line}\n{A}\n")
    assert found.ids == [A]
    assert found.bad_lines[0]["detail"].endswith(detail)


@given(st.lists(st.text(alphabet=st.characters(blacklist_characters="\r\n"), max_size=60)))
def test_it_takes_every_line_for_an_id_or_for_a_fault_or_for_nothing(lines: list[str]) -> None:
    found = order_files.read(line + "\n" for line in lines)
    assert found.ids == []
    for bad in found.bad_lines:
        assert lines[bad["line"] - 1].strip()[:60] == bad["text"]
