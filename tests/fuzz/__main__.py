"""`make fuzz`: the properties under libFuzzer, which keeps what reached a new branch of ours.

The inputs that did stand in .fuzz/, so that the next run goes on from there. A counter-example is
also kept in .hypothesis/: the next run of the tests shows it again, made small.
"""

import argparse
import subprocess
import sys
from random import Random

from devtools.local.processes import ROOT
from devtools.reporting.run import end_with, say

NAMES = ("requests", "answers", "records")
_CORPUS = ROOT / ".fuzz"
_SLOWEST_INPUT_S = 120
_LAST_LINES = 60

# An input is what hypothesis draws from, and a short one is not enough for an example.
_MAX_BYTES = 8192
_FIRST_INPUTS = 20


def main(arguments: list[str]) -> int:
    """Fuzz one surface after the other, each in a process of its own; 1 when one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for all of them together")
    parser.add_argument("--runs", type=int, default=-1, help="inputs for each, at most")
    parser.add_argument("--seed", type=int, default=0, help="0 is another one each time")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    options = parser.parse_args(arguments)
    seconds = max(1, round(options.minutes * 60 / len(options.only)))
    flags = [f"-max_total_time={seconds}", f"-runs={options.runs}", f"-seed={options.seed}"]
    broken = [name for name in options.only if not _holds(name, flags, options.seed)]
    say(f"Broken: {', '.join(broken)}." if broken else "All of it holds.")
    return int(bool(broken))


def _holds(name: str, flags: list[str], seed: int) -> bool:
    corpus, log = _CORPUS / name, _CORPUS / f"{name}.log"
    if not corpus.exists():
        corpus.mkdir(parents=True)
        random = Random(seed)  # noqa: S311 - no secret
        for number in range(_FIRST_INPUTS):
            (corpus / f"first-{number}").write_bytes(random.randbytes(_MAX_BYTES // 4))
    say(f"{name}: what is done stands in {log.relative_to(ROOT)}")
    command = [sys.executable, "-m", "tests.fuzz.libfuzzer", name, *flags]
    command += [f"-max_len={_MAX_BYTES}", "-len_control=0", f"-timeout={_SLOWEST_INPUT_S}"]
    command += [f"-artifact_prefix={_CORPUS}/{name}-", str(corpus)]
    with log.open("wb") as output:
        ended = subprocess.run(command, stdout=output, stderr=output, check=False, cwd=ROOT)
    if ended.returncode:
        sys.stdout.write("\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:]))
    return not ended.returncode


if __name__ == "__main__":
    end_with(main)
