import io

import pytest
from rich.console import Console

from cli import output
from cli.output import Facts, Table
from cli.output.plain import as_text
from cli.output.screen import Fitted, as_compact, as_rich

ORDER_ID = "0c3e1f2a-1111-6222-a333-444455556666"
TABLE = Table(("order_id", "last_error"), [(ORDER_ID, "HTTP 500"), (ORDER_ID, None)])
FACTS = Facts("Order", [("state", "dead"), ("reason", None), ("attempts", 0)])


def on_terminal(*blocks: output.Block, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(as_rich(*blocks))
    return capture.get()


def test_it_aligns_plain_text_and_leaves_no_space_at_the_end_of_a_line() -> None:
    assert as_text(FACTS, TABLE, "That is all.") == (
        "Order\n"
        "state     dead\n"
        "attempts  0\n"
        "\n"
        "order_id                              last_error\n"
        f"{ORDER_ID}  HTTP 500\n"
        f"{ORDER_ID}  -\n"
        "\n"
        "That is all."
    )


def test_it_draws_tables_and_panels_on_a_terminal() -> None:
    shown = on_terminal(FACTS, TABLE, "That is all.")
    assert "╭──── Order ─────╮" in shown
    assert "reason" not in shown
    assert f" {ORDER_ID}  HTTP 500 " in shown
    assert "That is all." in shown


LONG = Table(
    ("order_id", "account", "reason", "last_error"),
    [(ORDER_ID, "default", None, f"a long story of {ORDER_ID}, " * 3)],
    prose="last_error",
    titles=2,
)


def test_it_breaks_prose_only_and_no_identifier_in_it() -> None:
    shown = on_terminal(LONG, width=120)
    assert f"  {ORDER_ID}  default  -       a long story of" in shown
    assert shown.count(ORDER_ID) == 4


def test_it_shows_row_by_row_what_does_not_fit() -> None:
    assert [line.rstrip() for line in on_terminal(LONG, width=60).splitlines()] == [
        f"{ORDER_ID}  default",
        f"  a long story of {ORDER_ID}, a",
        f"  long story of {ORDER_ID}, a long",
        f"  story of {ORDER_ID},",
    ]


def test_it_puts_on_a_line_as_many_cells_as_fit() -> None:
    table = Table(("at", "call", "answer", "id"), [("noon", "get_order", "404", "c" * 36)])
    assert on_terminal(table, width=50).splitlines() == [
        "noon",
        "  call get_order  answer 404",
        f"  id {'c' * 36}",
    ]


def test_it_shows_no_table_without_rows() -> None:
    assert on_terminal(Table(("order_id",), [])) == ""


def on_screen(*blocks: output.Block, height: int) -> list[str]:
    console = Console(
        file=io.StringIO(), width=80, height=height, force_terminal=True, color_system=None
    )
    with console.capture() as capture:
        console.print(Fitted(as_compact(*blocks), "see there"))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_it_uses_the_screen_sparingly() -> None:
    assert on_screen("All is well.", FACTS, TABLE, height=24) == [
        "All is well.",
        "state  dead",
        "attempts  0",
        "",
        "order_id                             last_error",
        f"{ORDER_ID} HTTP 500",
        f"{ORDER_ID} -",
    ]


def test_it_says_what_does_not_fit_on_the_screen() -> None:
    assert on_screen(*map(str, range(10)), height=10) == list(map(str, range(10)))
    assert on_screen(*map(str, range(10)), height=4) == [
        *("0", "1", "2"),
        "… 7 more lines: see there",
    ]


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "two\nlines", "\x9b31m", "\u202ereversed"])
def test_it_lets_nobody_control_the_terminal(text: str) -> None:
    blocks = (Facts(text, [("error", text)]), Table(("error",), [(text,)]), text)
    plain = as_text(*blocks)
    harmless = " " + text[1:] if text[0] != "t" else "two lines"
    assert plain == f"{harmless}\nerror  {harmless}\n\nerror\n{harmless.rstrip()}\n\n{harmless}"
    assert text not in on_terminal(*blocks)


def test_it_takes_rich_markup_as_text() -> None:
    assert "[bold]x[/bold]" in on_terminal(Table(("error",), [("[bold]x[/bold]",)]))


def test_it_prints_json_over_several_lines_or_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"detail": "\u009b31m"})
    output.emit_json({"a": 1, "b": None}, one_line=True)
    assert capsys.readouterr().out == '{\n  "detail": "\\u009b31m"\n}\n{"a": 1, "b": null}\n'
