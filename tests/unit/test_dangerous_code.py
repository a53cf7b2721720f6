"""What an attacker would look for is not there: pickle, eval, a shell, a secret that is shown."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.local.processes import ROOT
from klarna import KlarnaClient, resolve_api_url
from pushes.store.connection import connect
from pushes.store.ledger import Ledger
from service.settings import load as load_web
from worker.settings import load as load_worker

SHIPPED = ("cli", "klarna", "notify", "pushes", "sandbox", "service", "worker")
NEVER_IMPORTED = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "input"}

# What of RQ packs or unpacks a job, and so has to be told how.
PACKS = {"Queue", "Job.create", "Job.fetch", "Job.fetch_many", "Worker", "SimpleWorker"}

CANARY = "canary-7f3a9c-never-to-be-seen"


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    for room in SHIPPED:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                yield file.relative_to(ROOT), node


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    for file, node in nodes():
        if isinstance(node, ast.Call):
            yield file, ast.unparse(node.func), node


def imports() -> Iterator[tuple[Path, str]]:
    for file, node in nodes():
        if isinstance(node, ast.Import):
            yield from ((file, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield file, node.module or ""


def test_nothing_unpickles_evaluates_or_asks_a_shell() -> None:
    imported = {(file, name) for file, name in imports() if name.split(".")[0] in NEVER_IMPORTED}
    called = {(file, name) for file, name, _ in calls() if name in NEVER_CALLED}
    shells = {
        file
        for file, _, call in calls()
        for word in call.keywords
        if word.arg == "shell" and ast.unparse(word.value) != "False"
    }
    assert (imported, called, shells) == (set(), set(), set())


def test_rq_is_given_json_wherever_it_reads_or_writes() -> None:
    packing = [(file, call) for file, name, call in calls() if name in PACKS]
    serializers = {
        (file, ast.unparse(word.value))
        for file, call in packing
        for word in call.keywords
        if word.arg == "serializer"
    }
    assert packing
    assert serializers == {(file, "JSONSerializer") for file, _ in packing}


@pytest.mark.parametrize("show", [repr, str])
def test_whatever_holds_a_secret_does_not_show_it(show: Callable[[object], str]) -> None:
    url = f"redis://web:{CANARY}@127.0.0.1:1/0"
    web = load_web({"REDIS_URL": url, "PUSH_TOKEN": CANARY})
    worker = load_worker(
        {
            "REDIS_URL": url,
            "KLARNA_API_URL": "klarna-eu",
            "KLARNA_USERNAME": "user",
            "KLARNA_PASSWORD": CANARY,
            "NOTIFY_URLS": f"json://user:{CANARY}@127.0.0.1",
        }
    )
    redis = connect(url, timeout_s=1, retries=0)
    client = KlarnaClient(resolve_api_url("klarna-eu"), "user", CANARY)
    holders: list[object] = [web, web.tokens, worker, worker.settings, worker.accounts]
    holders += worker.settings.recipients or ()
    holders += [redis, redis.connection_pool, Ledger(redis), client]
    assert [type(each).__name__ for each in holders if CANARY in show(each)] == []
