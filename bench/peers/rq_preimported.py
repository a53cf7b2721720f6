"""`python -m bench.peers.rq_preimported worker …`: RQ's own command, the job's imports made first.

A forked work-horse then inherits them; with the command as it comes, each job imports anew.
"""

from rq.cli.cli import main

import bench.peers.rq_jobs  # noqa: F401 - what the forked children shall find imported

if __name__ == "__main__":
    main()
