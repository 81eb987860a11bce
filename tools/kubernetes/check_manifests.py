#!/usr/bin/env python3
"""Checks the manifests against Kubernetes' schemas, each other, and a running `lanerank serve`.

    python tools/kubernetes/check_manifests.py target/release/lanerank [--kubernetes 1.37]

Needs requirements.txt, but no Kubernetes and no network: kubernetes-validate contains the schemas.
"""

import argparse, re, sys, urllib.request
from pathlib import Path
import kubernetes_validate, yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools/server/checks"))
from common import Server

UNITS = {"Mi": 2**20, "Gi": 2**30}


def bytes_of(quantity):
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def flags(container):
    return dict(arg.removeprefix("--").split("=", 1) for arg in container["args"])


def check_schemas(manifests, version):
    for name, manifest in manifests.items():
        kubernetes_validate.validate(manifest, version, strict=True)
        kind, api = manifest["kind"], manifest["apiVersion"]
        print(f"{name}: a valid {kind} of {api} in Kubernetes {version}")
    wrong = yaml.safe_load(yaml.safe_dump(manifests["deployment.yaml"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    try:
        kubernetes_validate.validate(wrong, version, strict=True)
    except kubernetes_validate.ValidationError:
        return
    raise AssertionError("the validator accepts an unknown field")


def check_consistency(manifests):
    deployment, service = manifests["deployment.yaml"], manifests["service.yaml"]
    spec = deployment["spec"]["template"]["spec"]
    container = spec["containers"][0]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        manifests["disruption-budget.yaml"]["spec"]["selector"]["matchLabels"],
        spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors), "labels"
    target = manifests["autoscaler.yaml"]["spec"]["scaleTargetRef"]
    assert [target[k] for k in ("apiVersion", "kind")] == [
        deployment[k] for k in ("apiVersion", "kind")
    ]
    assert target["name"] == deployment["metadata"]["name"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {probe["port"] for probe in probes} | {service["spec"]["ports"][0]["targetPort"]} == set(
        ports
    )
    given = flags(container)
    assert int(given["listen"].rsplit(":", 1)[1]) == ports["http"]
    assert deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(
        ports["http"]
    )
    claim = spec["volumes"][0]["persistentVolumeClaim"]
    mount = container["volumeMounts"][0]
    assert (
        claim["claimName"] == manifests["model-volume.yaml"]["metadata"]["name"]
        and claim["readOnly"]
        and mount["readOnly"]
    )
    assert given["model"].split("=")[-1].startswith(mount["mountPath"] + "/")
    stopping = (
        container["lifecycle"]["preStop"]["sleep"]["seconds"] + int(given["drain-timeout"]) / 1000
    )
    assert spec["terminationGracePeriodSeconds"] > stopping, "killed while it drains"
    bodies = int(given["max-connections"]) * int(given["max-body"])
    assert bytes_of(container["resources"]["limits"]["memory"]) >= bodies + bytes_of(
        container["resources"]["requests"]["memory"]
    )
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    print("labels, ports, volume, shutdown times and memory are consistent")


def check_server(manifests, binary):
    """A server with the container's flags, except address and model, has what the manifests use."""
    container = manifests["deployment.yaml"]["spec"]["template"]["spec"]["containers"][0]
    given = flags(container)
    model = HERE.parents[1] / "src/assets/default.lane"
    arguments = {**given, "model": f"default={model}"}
    del arguments["listen"]  # Server sets it.
    with Server(binary, *(f"--{name}={value}" for name, value in arguments.items())) as server:
        for kind in ("startup", "readiness", "liveness"):
            with urllib.request.urlopen(
                server.url + container[f"{kind}Probe"]["httpGet"]["path"]
            ) as answer:
                assert answer.status == 200
        path = manifests["deployment.yaml"]["spec"]["template"]["metadata"]["annotations"][
            "prometheus.io/path"
        ]
        page = urllib.request.urlopen(server.url + path).read().decode()
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M))
        metric = manifests["autoscaler.yaml"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
        assert kinds.get(metric) == "gauge", f"{metric}: not in /metrics"
        rule = yaml.safe_load((HERE / "prometheus-adapter.yaml").read_text())["rules"]["custom"][0]
        series = rule["seriesQuery"].split("{")[0]
        assert series == metric == rule["name"]["as"] and re.match(rule["name"]["matches"], series)
    print(f"the probes' paths answer; /metrics has the gauge {metric}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--kubernetes", default="1.37", help="version of the schemas")
    args = parser.parse_args()
    files = sorted((HERE / "manifests").glob("*.yaml"))
    manifests = {file.name: yaml.safe_load(file.read_text()) for file in files}
    check_schemas(manifests, args.kubernetes)
    check_consistency(manifests)
    check_server(manifests, args.binary)


if __name__ == "__main__":
    main()
