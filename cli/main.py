"""`klarna-ack`: the operator's and developer's terminal, put together from its commands."""

import click

from cli.dead import dead
from cli.discarding import discard
from cli.doctor import doctor
from cli.exits import Refused, Terminal
from cli.pausing import pause, resume
from cli.queueing import push
from cli.replaying import replay_dead
from cli.show import show
from cli.status import status


@click.group(cls=Terminal, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klarna-ack", prog_name="klarna-ack")
def terminal() -> None:
    """Look after the pushes that Klarna sent: see them, queue them, replay them.

    The commands read REDIS_URL and, with several accounts, ACCOUNTS_FILE from the environment.
    They end with 0 when done, 1 when refused or failed, 2 when used wrongly, and 78 when the
    configuration is not usable.
    """


@terminal.command()
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


for command in (status, show, push, pause, resume, doctor, dead):
    terminal.add_command(command)
for command in (replay_dead, discard):
    dead.add_command(command)


def main() -> None:
    """Run one command and end the process with its exit code."""
    terminal(prog_name="klarna-ack")


if __name__ == "__main__":
    main()
