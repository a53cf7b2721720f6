"""`klarna-ack dev`: everything on one machine, from a checkout."""

import click

from cli.exits import Refused


@click.command()
@click.option("--once", is_flag=True, help="Push three orders, and end when all are acknowledged.")
@click.option("--verbose", is_flag=True, help="Show what the processes log, too.")
@click.pass_context
def dev(ctx: click.Context, *, once: bool, verbose: bool) -> None:
    """Run everything on this machine, with a stand-in for Klarna.

    That is a Valkey, the stand-in, the web process and a worker. No credentials are needed, and
    nothing is kept. It needs a checkout of the repository and the `dev` extra.
    """
    try:
        from devtools.local import demo  # noqa: PLC0415 - not shipped with the package
    except ModuleNotFoundError as error:
        if error.name != "devtools":
            raise
        raise Refused(
            "`klarna-ack dev` runs in a checkout only, since its tools are not shipped with the"
            " package: clone the repository and run `make demo` there."
        ) from error
    ctx.exit(demo.run(once=once, verbose=verbose))
