"""`python -m devtools.bench.peers.rq_preimported worker …`: RQ's command, imports made first.

A forked work-horse then inherits them; with the command as it comes, each job imports anew.
"""

from rq.cli.cli import main

if __name__ == "__main__":
    main()
