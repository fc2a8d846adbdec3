"""Rollouts of other tools as policies: the core of ``rampway import``.

A new source is one module with a ``translate`` and one line in :data:`IMPORTERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from router.config.problems import PolicyError
from router.config.source import Document
from router.importing import argo, flagger, gateway, kserve
from router.importing.draft import Draft, text
from router.importing.manifest import PLATFORM, Manifest, manifests

Translate = Callable[[Manifest, list[Manifest]], Draft]

IMPORTERS: dict[tuple[str, str], Translate] = {
    ("argoproj.io", "Rollout"): argo.translate,
    ("flagger.app", "Canary"): flagger.translate,
    ("gateway.networking.k8s.io", "HTTPRoute"): gateway.translate,
    ("serving.kserve.io", "InferenceService"): kserve.translate,
    ("serving.kubeflow.org", "InferenceService"): kserve.translate,
}
"""Every kind of object that can be read, by API group and kind."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of a policy, and what could not be translated (it is in the text as well)."""

    text: str
    notes: tuple[str, ...]


def import_policy(data: bytes | str, file: str = "rollout.yaml") -> Imported:
    """A policy for every object of a file whose kind is in :data:`IMPORTERS`, each as a route.

    Whatever has no counterpart is a comment with its line. Raises PolicyError when the file is no
    plain YAML or has none of them.
    """
    found = manifests(data, file)
    drafts = [_draft(manifest, found) for manifest in found if _importer(manifest)]
    if not drafts:
        kinds = ", ".join(dict.fromkeys(kind for _, kind in IMPORTERS))
        raise PolicyError(
            [Document(file).problem((), f"expected one of {kinds}, got none of them")]
        )
    for draft in drafts if len(drafts) > 1 else ():
        if not draft.match:
            draft.match["host"] = draft.name.lower()
            draft.notes.append(f"the host {draft.name} is a guess, to tell the routes apart")
    for draft in drafts:
        draft.match.setdefault("path", "/*")
    drafts.sort(key=_exactness)  # the first match wins: the more exact route comes first
    return Imported(text(drafts), tuple(note for draft in drafts for note in draft.notes))


def _exactness(draft: Draft) -> tuple[bool, bool, int, bool]:
    """Ascending: a host before any, whole names before ``*.``, longer paths before shorter."""
    host, path = str(draft.match.get("host", "")), str(draft.match["path"])
    return (not host, host.startswith("*"), -len(path.rstrip("*")), path.endswith("*"))


def _importer(manifest: Manifest) -> Translate | None:
    group = str(manifest.get("apiVersion", default="")).partition("/")[0]
    return IMPORTERS.get((group, str(manifest.get("kind", default=""))))


def _draft(manifest: Manifest, others: list[Manifest]) -> Draft:
    translate = _importer(manifest)
    if translate is None:
        raise LookupError("no importer")
    draft = translate(manifest, others)
    platform = []
    for path in manifest.untaken():
        if len(path) > 1 and path[1] in PLATFORM:
            platform.append(str(path[1]))
        else:
            manifest.note(path, "has no counterpart")
    draft.notes = [*manifest.notes, *draft.notes]
    if platform:
        names = ", ".join(dict.fromkeys(platform))
        draft.notes.append(f"{names}: about pods, which the platform looks after")
    return draft
