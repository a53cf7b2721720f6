"""The RQ entry point. Its dotted name stands in Redis (`pushes.store.rq_job.JOB_FUNCTION`)."""


def acknowledge_push() -> None:
    """Stand for one attempt in RQ's job. Raises RuntimeError: RQ's own worker makes none.

    RQ's worker knows neither the ledger nor the credentials; `python -m worker` looks at the
    name and makes the attempt itself.
    """
    raise RuntimeError("this queue is served by `python -m worker`, not by `rq worker`")
