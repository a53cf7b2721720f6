import io

import pytest
from rich.console import Console

from cli import output
from cli.output import Facts, Table

ORDER_ID = "0c3e1f2a-1111-6222-a333-444455556666"
TABLE = Table(("order_id", "last_error"), [(ORDER_ID, "HTTP 500"), (ORDER_ID, None)])
FACTS = Facts("Order", [("state", "dead"), ("reason", None), ("attempts", 0)])


def on_terminal(*blocks: output.Block, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(output.as_rich(*blocks))
    return capture.get()


def test_it_aligns_plain_text_and_leaves_no_space_at_the_end_of_a_line() -> None:
    assert output.as_text(FACTS, TABLE, "That is all.") == (
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
    assert f" {ORDER_ID}   HTTP 500 " in shown
    assert "That is all." in shown


def test_it_never_cuts_an_order_id_on_a_narrow_terminal() -> None:
    shown = on_terminal(
        Table(("order_id", "last_error"), [(ORDER_ID, "a long story " * 9)]), width=60
    )
    assert ORDER_ID in shown
    assert shown.count("story") == 9


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "two\nlines", "\x9b31m", "\u202ereversed"])
def test_it_lets_nobody_control_the_terminal(text: str) -> None:
    blocks = (Facts(text, [("error", text)]), Table(("error",), [(text,)]), text)
    plain = output.as_text(*blocks)
    harmless = " " + text[1:] if text[0] != "t" else "two lines"
    assert plain == f"{harmless}\nerror  {harmless}\n\nerror\n{harmless.rstrip()}\n\n{harmless}"
    assert text not in on_terminal(*blocks)


def test_it_takes_rich_markup_as_text() -> None:
    assert "[bold]x[/bold]" in on_terminal(Table(("error",), [("[bold]x[/bold]",)]))


def test_it_prints_json_over_several_lines_or_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"detail": "\u009b31m"})
    output.emit_json({"a": 1, "b": None}, one_line=True)
    assert capsys.readouterr().out == '{\n  "detail": "\\u009b31m"\n}\n{"a": 1, "b": null}\n'
