"""The ways a command ends, as exit codes that people script against.

    0   done
    1   refused, or failed: Refused, and whatever Redis raises
    2   used wrongly: click's UsageError
    78  not configured: whatever reading the settings raises

Each failure is a sentence on stderr that says what to do; never a traceback for any of these.
"""

from typing import Any

import click
from redis.exceptions import RedisError

from cli.lazy import LazyGroup
from pushes.settings import EXIT_CONFIGURATION, ConfigurationError
from pushes.store.server.durability import fault_of
from pushes.store.server.replicas import NotReplicatedError


class Refused(click.ClickException):
    """The command could not be done, or only a part of it; the message says what now."""

    exit_code = 1


class NotConfigured(click.ClickException):
    """The settings are not usable; the message lists every problem."""

    exit_code = EXIT_CONFIGURATION


class Terminal(LazyGroup):
    """A group of commands that ends in sentences for operators, whatever its commands raise."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise NotConfigured(f"the configuration is not usable:\n{error}") from error
        except RedisError as error:
            raise Refused(nothing_changed(error)) from error


def nothing_changed(error: RedisError) -> str:
    """Say what a failure of Redis means when nothing was written before."""
    if isinstance(error, NotReplicatedError):
        return (
            f"{what_happened(error)}: it is done, but a failover could lose it. {remedy(error)}, "
            "and look whether it is still done then."
        )
    return (
        f"{what_happened(error)}: nothing was changed, and accepted pushes are safe in Redis. "
        f"{remedy(error)}. Then run this again."
    )


def what_happened(error: RedisError) -> str:
    """Begin a sentence about a failure of Redis."""
    name = type(error).__name__
    seen = fault_of(error).seen.removesuffix(f" ({name})")
    reason = " ".join(str(error).split()).rstrip(".")
    return f"{seen[0].upper()}{seen[1:]} ({name}: {reason[:200]})"


def remedy(error: RedisError) -> str:
    """Begin a sentence about what to do when Redis fails."""
    what = fault_of(error).remedy
    return f"{what[0].upper()}{what[1:]}"
