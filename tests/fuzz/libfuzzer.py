"""One surface in this process: its property is called with each input, and its branches counted.

Run by `tests.fuzz` as `python -m tests.fuzz.libfuzzer NAME FLAG…`; the flags are libFuzzer's. It
never returns: libFuzzer ends the process.
"""

import importlib
import sys

from devtools.local.embedded import EmbeddedServer

# Where a new branch is worth keeping an input for.
_OURS = ["cli", "klarna", "pushes", "service", "worker"]


def main(name: str, flags: list[str]) -> None:
    """Fuzz until the flags say it is enough, or until an input breaks the property."""
    atheris = importlib.import_module("atheris")  # not in .venv: no wheel for every Python
    with atheris.instrument_imports(include=_OURS):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
    with EmbeddedServer() as server, targets[name](server.url) as holds:
        atheris.Setup([name, *flags], holds.hypothesis.fuzz_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
