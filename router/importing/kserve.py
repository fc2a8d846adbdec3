"""A KServe ``InferenceService`` as one of our routes, in each form of its canary.

``serving.kserve.io/v1beta1`` has one predictor: ``canaryTrafficPercent`` goes to its newest
revision and the rest to the one before. From 0.21 on it may have a list ``canary`` beside it, each
a predictor with a name and a share. ``serving.kubeflow.org/v1alpha2`` has ``default`` and
``canary`` beside each other. None says what comes next: the share is a step that a person ends.
"""

from __future__ import annotations

from router.config.problems import Path
from router.importing.draft import Draft
from router.importing.manifest import Manifest, share_text

TAGS = "serving.kserve.io/enable-tag-routing"
"""The annotation under which both revisions have addresses."""
OPEN_INFERENCE = "v2"


def translate(service: Manifest, others: list[Manifest]) -> Draft:  # noqa: ARG001 - all take it
    """The route for an InferenceService; nothing of `others` is needed."""
    draft = Draft(service.text("metadata", "name", default="imported"), "InferenceService")
    draft.gates = ["error_rate", "guard"]
    namespace = service.text("metadata", "namespace")
    domain = f".{namespace}" if namespace else ""
    if service.get("spec", "default") is not None:
        _two_specs(service, draft, domain)
    elif service.items("spec", "canary"):
        _beside(service, draft, domain)
    else:
        _two_revisions(service, draft, domain)
    return draft


def _two_revisions(service: Manifest, draft: Draft, domain: str) -> None:
    predictor: Path = ("spec", "predictor")
    draft.stable_url = f"http://prev-{draft.name}-predictor{domain}:80"
    draft.candidate_url = f"http://latest-{draft.name}-predictor{domain}:80"
    if str(service.get("metadata", "annotations", TAGS, default="")) != "true":
        draft.notes.append(f"set the annotation {TAGS}: without it a revision has no address")
    draft.notes.append("both addresses are guesses of Knative's names for the two revisions")
    _share(service, draft, (*predictor, "canaryTrafficPercent"))
    _predictor(service, draft)


def _beside(service: Manifest, draft: Draft, domain: str) -> None:
    """Each canary is a deployment of its own, named after its predictor."""
    stable = service.text("spec", "predictor", "name")
    canary = service.text("spec", "canary", 0, "predictor", "name", default="canary")
    draft.stable_url = f"http://{draft.name}-{stable + '-' if stable else ''}predictor{domain}:80"
    draft.candidate_url = f"http://{draft.name}-{canary}-predictor{domain}:80"
    _share(service, draft, ("spec", "canary", 0, "trafficPercent"))
    service.take("spec", "canary", 0, "predictor")
    for index in range(1, len(service.items("spec", "canary"))):
        service.take("spec", "canary", index)
        service.note(("spec", "canary", index), "is left out: a rollout has one candidate")
    _predictor(service, draft)


def _predictor(service: Manifest, draft: Draft) -> None:
    """The paths by its protocol; the rest is taken."""
    predictor: Path = ("spec", "predictor")
    version = "v1"
    for key, value in service.entries(*predictor).items():
        if isinstance(value, dict) and value.get("protocolVersion") is not None:
            version = str(value["protocolVersion"])
        service.take(*predictor, key)
    _paths(draft, version)
    draft.notes.append("spec.predictor: about pods, which the platform looks after")


def _two_specs(service: Manifest, draft: Draft, domain: str) -> None:
    draft.stable_url = f"http://{draft.name}-predictor-default{domain}:80"
    draft.candidate_url = f"http://{draft.name}-predictor-canary{domain}:80"
    for name in ("default", "canary"):
        service.take("spec", name, "predictor")
    if service.get("spec", "canary") is None:
        draft.notes.append("it has no canary; the candidate's address is where one would be")
    _share(service, draft, ("spec", "canaryTrafficPercent"))
    _paths(draft, "v1")
    draft.notes.append("predictors: about pods, which the platform looks after")


def _share(service: Manifest, draft: Draft, path: Path) -> None:
    """The share as a step; none, or all at once, says nothing of a way there."""
    given = service.take(*path)
    share = share_text(given) if given is not None else None
    if share is None or share == "100%":
        draft.strategy = {"canary": {"ramp": "auto"}}
        draft.notes.append("it has no share of a canary; written as ramp: auto")
        if given is not None and share is None:
            service.note(path, "is no share from 0% to 100%")
        return
    if share == "0%":
        draft.strategy, draft.gates = {"blue_green": {"approval": {}}}, ["guard"]
        draft.notes.append("its canary has no traffic; a person says when all traffic moves")
        return
    draft.strategy = {"canary": {"steps": [{"weight": share, "approval": {}}]}}


def _paths(draft: Draft, version: str) -> None:
    """Both protocols have the model's name, which is the service's, in the path."""
    if version == OPEN_INFERENCE:
        draft.match["path"] = f"/v2/models/{draft.name}/*"
        draft.notes.append("answers are read with payload: open_inference_v2; add it to the route")
    elif version == "v1":
        draft.match["path"] = f"/v1/models/{draft.name}:*"
    else:
        draft.notes.append(f"the protocol {version} is no HTTP; see docs/scale.md for gRPC")
