"""`klarna-ack`: the operator's and developer's terminal, put together from its commands."""

import os

import click

from cli.exits import Terminal
from pushes import log

_COMMANDS = {
    "audit": "cli.audit:audit",
    "dead": "cli.dead:dead",
    "dev": "cli.dev:dev",
    "doctor": "cli.doctor:doctor",
    "find": "cli.find:find",
    "list": "cli.list:list_",
    "notify": "cli.notify:notify",
    "order": "cli.order:order",
    "pause": "cli.pause:pause",
    "push": "cli.push:push",
    "reconcile": "cli.reconcile:reconcile",
    "repair": "cli.doctor.repair:repair",
    "resume": "cli.pause:resume",
    "retry": "cli.retry:retry",
    "run": "cli.run:run",
    "show": "cli.show:show",
    "status": "cli.health.status:status",
    "token": "cli.access.token:token",
    "user": "cli.access.user:user",
    "workers": "cli.health.workers:workers",
}


@click.group(
    cls=Terminal, places=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="klarna-ack", prog_name="klarna-ack")
def terminal() -> None:
    """Look after the pushes that Klarna sent: see them, queue them, replay them.

    The commands read REDIS_URL and, with several accounts, ACCOUNTS_FILE from the environment.
    They end with 0 when done, 1 when refused or failed, 2 when used wrongly, and 78 when the
    configuration is not usable.
    """


def main() -> None:
    """Run one command and end the process with its exit code.

    What the program logs meanwhile goes to stderr: stdout is the command's own.
    """
    log.configure_on_use("warning", log.default_form(os.environ))
    terminal(prog_name="klarna-ack")


if __name__ == "__main__":
    main()
