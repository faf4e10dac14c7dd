"""What a program with the official Python client does, on a real cluster.

Called with a namespace; reads KUBECONFIG. Ends with "ok", or with the assertion that failed.
"""

import json
import sys

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

NAMESPACE = sys.argv[1]
LABELS = {"app": "py"}


def container(image):
    return client.V1Container(name="c", image=image, ports=[client.V1ContainerPort(container_port=80)])


def deployment(image):
    """No pods: this is about the API."""
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=LABELS), spec=client.V1PodSpec(containers=[container(image)])
    )
    spec = client.V1DeploymentSpec(
        replicas=0, selector=client.V1LabelSelector(match_labels=LABELS), template=template
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name="py", labels=LABELS), spec=spec)


def refused(code, reason, call):
    try:
        call()
    except ApiException as error:
        body = error.body.decode() if isinstance(error.body, bytes) else error.body
        assert error.status == code and reason in body, (error.status, body)
    else:
        raise AssertionError(f"not refused with {code} {reason}")


def typed_objects(apps):
    created = apps.create_namespaced_deployment(NAMESPACE, deployment("a:1"))
    assert created.metadata.uid and created.spec.strategy.type == "RollingUpdate", created
    refused(409, "AlreadyExists", lambda: apps.create_namespaced_deployment(NAMESPACE, deployment("a:1")))
    stale = apps.read_namespaced_deployment("py", NAMESPACE)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}}
    patched = apps.patch_namespaced_deployment("py", NAMESPACE, change)
    only = patched.spec.template.spec.containers[0]
    assert only.image == "a:2" and only.ports[0].container_port == 80, only
    refused(409, "Conflict", lambda: apps.replace_namespaced_deployment("py", NAMESPACE, retagged(stale)))
    apps.patch_namespaced_deployment_scale("py", NAMESPACE, {"spec": {"replicas": 0}})
    scale = apps.read_namespaced_deployment_scale("py", NAMESPACE)
    assert scale.spec.replicas == 0 and scale.status.selector == "app=py", scale


def retagged(stale):
    stale.spec.template.spec.containers[0].image = "a:3"
    return stale


def pages(core):
    for number in range(5):
        name = client.V1ObjectMeta(name=f"page-{number}", labels=LABELS)
        core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=name, data={"n": str(number)}))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="app=py", limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)], names
    return page.metadata.resource_version


def changes(core, since):
    core.patch_namespaced_config_map("page-0", NAMESPACE, {"data": {"n": "changed"}})
    core.delete_namespaced_config_map("page-1", NAMESPACE)
    seen = []
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        NAMESPACE,
        label_selector="app=py",
        resource_version=since,
        timeout_seconds=30,
    )
    for event in stream:
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            break
    assert seen == [("MODIFIED", "page-0"), ("DELETED", "page-1")], seen


def dynamic_objects(api):
    cluster = dynamic.DynamicClient(api)
    kinds = {resource.kind for resource in cluster.resources.search()}
    assert {"Pod", "Deployment", "EndpointSlice", "Lease", "Job", "Ingress", "StorageClass"} <= kinds, kinds
    maps = cluster.resources.get(api_version="v1", kind="ConfigMap")

    def apply(value, manager, force=None):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"k": value}}
        # This client sends no dictionary under this media type.
        text, place = json.dumps(body), {"name": "applied", "namespace": NAMESPACE}
        return maps.server_side_apply(body=text, field_manager=manager, force_conflicts=force, **place)

    first, second = apply("v", "one"), apply("v", "one")
    assert first.metadata.resourceVersion == second.metadata.resourceVersion, second
    refused(409, 'conflict with \\"one\\"', lambda: apply("other", "two"))
    apply("other", "two", force=True)
    applied = maps.get(name="applied", namespace=NAMESPACE)
    owners = [entry.manager for entry in applied.metadata.managedFields]
    assert applied.data.k == "other" and "two" in owners, applied
    maps.delete(name="applied", namespace=NAMESPACE)


def bad_input(core):
    bad = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="Bad_Name"))
    refused(422, "Invalid", lambda: core.create_namespaced_config_map(NAMESPACE, bad))
    refused(404, "NotFound", lambda: core.read_namespaced_config_map("nobody", NAMESPACE))


def main():
    config.load_kube_config()
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    assert client.VersionApi().get_code().major == "1"
    typed_objects(apps)
    changes(core, pages(core))
    dynamic_objects(client.ApiClient())
    bad_input(core)
    apps.delete_namespaced_deployment("py", NAMESPACE, propagation_policy="Foreground")
    print("ok")


main()
