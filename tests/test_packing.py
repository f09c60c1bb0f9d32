"""What runs Paperboy as a cluster: compose.yaml and the manifests of docs/kubernetes.md name what there is."""

import json
import re
import tomllib
from itertools import chain
from pathlib import Path

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]  # the stubs are no dependency of ours, and safe_load needs none

from bot.__main__ import parser
from bot.store.redis import RedisStore
from bot.store.redis_url import is_redis
from config.settings import CONFIG_VARIABLE, PREFIX, Settings, variable_names
from tests import redis_standin

REPO = Path(__file__).resolve().parents[1]
SCHEMA = json.loads((Path(__file__).parent / "data" / "compose_spec.schema.json").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((REPO / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "redis"}
DOCKERFILE = (REPO / "Dockerfile").read_text(encoding="utf-8")
FENCED = re.findall(r"```yaml\n(.*?)```", (REPO / "docs" / "kubernetes.md").read_text(encoding="utf-8"), re.DOTALL)
MANIFESTS = list(chain.from_iterable(yaml.safe_load_all(block) for block in FENCED))
TEMPLATES = {
    each["metadata"]["name"]: each["spec"]["template"] for each in MANIFESTS if "template" in each.get("spec", ())
}
PODS = {name: template["spec"] for name, template in TEMPLATES.items()}
OUR_PODS = {name: pod for name, pod in PODS.items() if name != "redis"}
needs_redis = pytest.mark.skipif(not redis_standin.INSTALLED, reason="needs /usr/bin/redis-server")


def manifest(kind, name):
    [found] = [each for each in MANIFESTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def env_of(container):
    return {each["name"]: each.get("value") for each in container["env"]}


def are_settings(names):
    return {name for name in names if name.startswith(PREFIX)} <= {*variable_names(), CONFIG_VARIABLE}


# --- compose.yaml


def test_the_compose_file_is_one():
    jsonschema.validate(COMPOSE, SCHEMA)


@pytest.mark.parametrize("broken", [{"restrat": "always"}, {"cap_drop": "ALL"}, {"ports": [None]}])
def test_a_compose_file_that_is_none_would_be_noticed(broken):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(COMPOSE | {"services": SERVICES | {"worker": SERVICES["worker"] | broken}}, SCHEMA)


def test_there_are_two_replicas_and_a_worker():
    commands = [service["command"] for service in OURS.values()]
    assert sorted(commands) == [["run"], ["run"], ["worker"]]


@pytest.mark.parametrize("command", [["run"], ["worker"]], ids=" ".join)
def test_every_command_exists(command):
    assert command in [service["command"] for service in OURS.values()]
    assert command in [pod["containers"][0]["args"] for pod in OUR_PODS.values()]
    assert parser().parse_args(command).command == command[0]


def test_every_variable_is_a_setting_that_is_taken(monkeypatch):
    for service in OURS.values():
        assert are_settings(service["environment"])
        with monkeypatch.context() as patch:
            for name, value in service["environment"].items():
                patch.setenv(name, value)
            assert is_redis(Settings().store.url)


def test_tokens_that_the_compose_file_names_are_settings():
    named = set(re.findall(rf"{PREFIX}\w+", (REPO / "compose.yaml").read_text(encoding="utf-8")))
    assert len(named) > 6
    assert are_settings(named)


def test_nobody_reaches_redis_from_outside_and_the_web_only_on_loopback():
    assert "ports" not in SERVICES["redis"]
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == ["store"]
    published = [port for service in OURS.values() for port in service.get("ports", ())]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_container_may_do_little_and_has_time_to_end(service):
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["restart"] == "unless-stopped"
    assert int(service["stop_grace_period"].removesuffix("s")) > 10


# --- Redis, in both


def redis_options():
    container = PODS["redis"]["containers"][0]
    given = ["a-password" if each == "$(REDISCLI_AUTH)" else each for each in container["args"]]
    return {"compose": SERVICES["redis"]["command"], "kubernetes": [*container["command"], *given]}


@needs_redis
@pytest.mark.parametrize("where", ["compose", "kubernetes"])
async def test_check_finds_nothing_wrong_with_a_server_that_is_started_so(where, tmp_path):
    program, *options = redis_options()[where]
    assert program == redis_standin.PROGRAM.name
    options = [str(tmp_path) if each == "/data" else each for each in options]
    with redis_standin.running(*options, keeping=()) as server:
        password = "a-password" if "--requirepass" in options else None
        async with RedisStore.open(server.url, password) as store:
            assert await store.check() == []


# --- docs/kubernetes.md


def test_every_manifest_says_what_it_is():
    kinds = sorted((each["kind"], each["metadata"]["name"]) for each in MANIFESTS)
    assert kinds == [
        ("ConfigMap", "paperboy-settings"),
        ("Deployment", "paperboy"),
        ("Deployment", "paperboy-worker"),
        ("Namespace", "paperboy"),
        ("NetworkPolicy", "redis"),
        ("PodDisruptionBudget", "paperboy"),
        ("Secret", "paperboy-secrets"),
        ("Service", "paperboy"),
        ("Service", "redis"),
        ("StatefulSet", "redis"),
    ]
    assert {each["metadata"].get("namespace", "paperboy") for each in MANIFESTS} == {"paperboy"}


def test_the_config_map_holds_settings_that_are_taken():
    Settings(**tomllib.loads(manifest("ConfigMap", "paperboy-settings")["data"]["config.toml"]))
    assert are_settings(manifest("Secret", "paperboy-secrets")["stringData"])


@pytest.mark.parametrize("pod", OUR_PODS.values(), ids=OUR_PODS)
def test_a_pod_of_ours_gets_its_settings_and_no_variables_of_other_services(pod):
    [container] = pod["containers"]
    assert pod["enableServiceLinks"] is False
    assert are_settings(env_of(container))
    assert container["envFrom"] == [{"secretRef": {"name": "paperboy-secrets"}}]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["settings"]["configMap"]["name"] == "paperboy-settings"
    assert env_of(container)[CONFIG_VARIABLE] == f"{mounted['settings']}/config.toml"
    assert mounted["tmp"] == "/tmp"


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_may_do_little_and_has_time_to_end(pod):
    assert pod["terminationGracePeriodSeconds"] > 10
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"]["memory"]


def test_probes_ask_the_port_that_is_listened_on():
    [container] = PODS["paperboy"]["containers"]
    [port] = container["ports"]
    assert port["containerPort"] == Settings.model_fields["web"].default.port
    asked = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: get["path"] for kind, get in asked.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {get["port"] for get in asked.values()} == {port["name"]}
    assert manifest("Service", "paperboy")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_selectors_find_the_pods_that_they_are_for():
    for name, template in TEMPLATES.items():
        kind = "StatefulSet" if name == "redis" else "Deployment"
        wanted = manifest(kind, name)["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= template["metadata"]["labels"].items()
    admitted = manifest("NetworkPolicy", "redis")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    for name in OUR_PODS:
        assert admitted.items() <= TEMPLATES[name]["metadata"]["labels"].items()


# --- the image


def test_a_pod_runs_as_the_images_user():
    [user] = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    for pod in OUR_PODS.values():
        assert (str(pod["securityContext"]["runAsUser"]), str(pod["securityContext"]["runAsGroup"])) == user
