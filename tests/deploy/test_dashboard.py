"""Every query of the dashboard is one that Prometheus understands, of metrics that we export."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from devtools.local.processes import ROOT
from tests.documents import METRICS, table, words

DASHBOARD = ROOT / "deploy" / "grafana" / "klarna-ack.json"
RULES = ROOT / "deploy" / "prometheus" / "klarna-ack.rules.yaml"
QUERIES = [
    target["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]
    for target in panel["targets"]
]


def exported() -> dict[str, set[str]]:
    """Name what is exported, as queries do, with its labels."""
    found: dict[str, set[str]] = {}
    for name, kind, labels, _ in table(METRICS, "| Metric | Type | Labels | Meaning |"):
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {f"{words(name)[0]}{suffix}": {*words(labels)} for suffix in suffixes}
    return found


def test_every_query_names_metrics_that_we_export() -> None:
    asked = {name for query in QUERIES for name in re.findall(r"klarna_ack_\w+", query)}
    asked |= set(re.findall(r"klarna_ack_\w+", RULES.read_text()))
    assert asked - exported().keys() == set()
    assert len(asked) > len(exported()) / 2  # it shows most of what there is


def test_every_query_goes_by_labels_that_its_metric_has() -> None:
    labels = exported()
    for query in [*QUERIES, *re.findall(r"expr: '(.*)'", RULES.read_text())]:
        has = {label for name in re.findall(r"klarna_ack_\w+", query) for label in labels[name]}
        by = {word for group in re.findall(r"by \(([^)]*)\)", query) for word in group.split(", ")}
        of = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", query))
        assert (by | of) - has - {"le"} == set(), query


def test_prometheus_understands_every_query(
    debian_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    rules = [{"record": f"query_{n}", "expr": query} for n, query in enumerate(QUERIES)]
    file = tmp_path / "queries.yaml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    for checked in (file, RULES):
        command = [debian_tool("promtool", "prometheus"), "check", "rules", str(checked)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
