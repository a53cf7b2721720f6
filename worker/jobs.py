"""The RQ entry point. Its dotted name stands in Redis (`pushes.jobs.JOB_FUNCTION`)."""

from rq import get_current_job

from pushes.store.rq_job import PushJob


def acknowledge_push() -> object:
    """Make one attempt for the push that the current job stands for; return its outcome.

    May run twice for one push: after a crash the job is run again. Raises RuntimeError when run
    by RQ's own worker, which knows neither the ledger nor the credentials.
    """
    job = get_current_job()
    if not isinstance(job, PushJob) or job.attempt is None:
        raise RuntimeError("this queue is served by `python -m worker`, not by `rq worker`")
    return job.attempt()
