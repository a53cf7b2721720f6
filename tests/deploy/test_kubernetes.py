"""The manifests: their schemas take them, and they fit the program that they start."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.local.processes import ROOT
from service.settings import WebSettings
from tests.documents import METRICS
from worker import runner
from worker.settings import WorkerSettings

FOLDER = ROOT / "deploy" / "kubernetes"
SECRETS = ("web-url", "push-token", "worker-url", "klarna-username", "klarna-password")
_TO_JSON = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))"

# Whatever the model does not know is lost on the way through it.
_OF_KEDA = """
import json, sys
from cloudcoil.models.keda.v1alpha1 import ScaledObject
read = ScaledObject.model_validate_json(sys.stdin.read())
print(read.model_dump_json(by_alias=True, exclude_unset=True))
"""

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def kubectl(debian_tool: Callable[[str, str], str]) -> str:
    return debian_tool("kubectl", "kubernetes-client, in Debian 13 or newer")


def render(kubectl: str, folder: Path, changed: Callable[[str], str] = str) -> str:
    """The example as it would be applied, with made-up secrets, and a kustomization `changed`."""
    overlay = folder / "copy" / "overlays" / "example"
    shutil.copytree(FOLDER, folder / "copy")
    file = overlay / "kustomization.yaml"
    file.write_text(changed(file.read_text()))
    shutil.rmtree(overlay / "secrets", ignore_errors=True)
    (overlay / "secrets").mkdir()
    for name in (*SECRETS, "notify-urls"):
        (overlay / "secrets" / name).write_text("made-up")
    done = subprocess.run(
        [kubectl, "kustomize", str(overlay)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def rendered(kubectl: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rendered") / "all.yaml"
    file.write_text(render(kubectl, tmp_path_factory.mktemp("kubernetes")))
    return file


def parsed(python: str, text: str) -> list[Manifest]:
    """Documents of YAML, read by a Python that can."""
    told = subprocess.run(
        [python, "-c", _TO_JSON], input=text, capture_output=True, text=True, check=True
    )
    read: list[Manifest] = json.loads(told.stdout)
    return read


@pytest.fixture(scope="module")
def manifests(rendered: Path, check_tool: Callable[[str], str]) -> list[Manifest]:
    return parsed(check_tool("python"), rendered.read_text())


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {it["metadata"]["name"]: it for it in manifests if it["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {
        name: deployment["spec"]["template"]["spec"]
        for name, deployment in of_kind(manifests, "Deployment").items()
    }


def test_the_schemas_of_kubernetes_take_them(
    rendered: Path, check_tool: Callable[[str], str], manifests: list[Manifest]
) -> None:
    done = subprocess.run(
        [check_tool("kubernetes-validate"), "--strict", str(rendered)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert [line for line in lines if "INFO" not in line and "ScaledObject" not in line] == []
    assert len(lines) == len(manifests)


def read_by_keda(check_tool: Callable[[str], str], scaled: Manifest) -> Manifest | str:
    """What KEDA's schema makes of it; the complaint, when it does not take it."""
    told = subprocess.run(
        [check_tool("python"), "-c", _OF_KEDA],
        input=json.dumps(scaled),
        capture_output=True,
        text=True,
        check=False,
    )
    read: Manifest | str = json.loads(told.stdout) if told.returncode == 0 else told.stderr
    return read


def test_the_schema_of_keda_takes_the_scaled_object(
    manifests: list[Manifest], check_tool: Callable[[str], str]
) -> None:
    (scaled,) = of_kind(manifests, "ScaledObject").values()
    assert read_by_keda(check_tool, scaled) == scaled
    target = scaled["spec"]["scaleTargetRef"]["name"]
    assert target in of_kind(manifests, "Deployment")
    service = "klarna-ack-web"
    assert service in of_kind(manifests, "Service")
    namespace = scaled["metadata"]["namespace"]
    told = METRICS.read_text()
    for trigger in scaled["spec"]["triggers"]:
        asked = trigger["metadata"]
        assert (trigger["type"], asked["format"]) == ("metrics-api", "prometheus")
        assert asked["url"] == f"http://{service}.{namespace}.svc/metrics"
        assert f"`{asked['valueLocation'].partition('{')[0]}" in told
        assert float(asked["targetValue"]) > 0


@pytest.mark.parametrize("number", [0, 1])
def test_the_schema_of_keda_takes_no_trigger_that_is_wrong(
    manifests: list[Manifest], check_tool: Callable[[str], str], number: int
) -> None:
    (scaled,) = of_kind(manifests, "ScaledObject").values()
    wrong = json.loads(json.dumps(scaled))
    wrong["spec"]["triggers"][number]["metadata"]["targetValue"] = 500  # a text is wanted
    assert read_by_keda(check_tool, wrong) != wrong


def test_no_pod_may_more_than_restricted_pods_do(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
    (namespace,) = of_kind(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_each_secret_that_a_setting_names_is_mounted(manifests: list[Manifest]) -> None:
    secrets = of_kind(manifests, "Secret")
    for name, pod in pods(manifests).items():
        (container,) = pod["containers"]
        named = [env["value"] for env in container["env"] if env["name"].endswith("_FILE")]
        files = {path.rpartition("/")[2] for path in named}
        (mounted,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert set(secrets[mounted["secretName"]]["data"]) == files, name


def test_each_setting_is_one_of_the_process(manifests: list[Manifest]) -> None:
    aliases = {
        name: {field.alias for field in model.model_fields.values()}
        for name, model in (
            ("web", WebSettings),
            ("console", WebSettings),
            ("worker", WorkerSettings),
        )
    }
    maps = of_kind(manifests, "ConfigMap")
    for name, pod in pods(manifests).items():
        (source,) = pod["containers"][0]["envFrom"]
        given = set(maps[source["configMapRef"]["name"]]["data"])
        assert given <= aliases[name.removeprefix("klarna-ack-")] | {"KLARNA_API_URL"}


def test_a_stop_has_the_time_that_it_takes(manifests: list[Manifest]) -> None:
    patience = {name: it["terminationGracePeriodSeconds"] for name, it in pods(manifests).items()}
    assert patience["klarna-ack-worker"] > runner._DRAIN_S + 10  # noqa: SLF001 - it has no other name
    assert patience["klarna-ack-web"] > 5 + 20 + 10  # preStop, graceful_timeout


def test_only_workers_reach_klarna(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    nothing = policies["klarna-ack-nothing-else"]["spec"]
    assert (nothing["podSelector"], nothing["policyTypes"]) == ({}, ["Ingress", "Egress"])
    outwards = {
        name: policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for name, policy in policies.items()
        for rule in policy["spec"].get("egress", [])
        if any(port["port"] == 443 for port in rule["ports"])
    }
    assert outwards == {"klarna-ack-klarna": "worker"}


def test_whatever_serves_orders_keeps_one_pod_through_a_disruption(
    manifests: list[Manifest],
) -> None:
    budgets = of_kind(manifests, "PodDisruptionBudget")
    deployments = of_kind(manifests, "Deployment")
    assert deployments.keys() - budgets.keys() == {"klarna-ack-console"}
    for name, budget in budgets.items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert budget["spec"]["minAvailable"] == 1


def test_workers_are_given_the_urls_of_messages_as_the_page_says(
    kubectl: str, check_tool: Callable[[str], str], tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "notifications.md").read_text()
    block = re.search(r"  ```yaml\n(  - target:.*?)  ```", page, re.DOTALL)
    assert block

    def with_urls(kustomization: str) -> str:
        last = "- klarna-username=secrets/klarna-username"
        assert last in kustomization
        told = kustomization.replace(last, f"{last}\n      - notify-urls=secrets/notify-urls")
        return f"{told}patches:\n{block[1]}"

    changed = parsed(check_tool("python"), render(kubectl, tmp_path, with_urls))
    (container,) = pods(changed)["klarna-ack-worker"]["containers"]
    path = "/run/secrets/klarna-ack/notify-urls"
    assert {"name": "NOTIFY_URLS_FILE", "value": path} in container["env"]
    (secret,) = (it for name, it in of_kind(changed, "Secret").items() if "worker" in name)
    assert "notify-urls" in secret["data"]
