"""A policy file from disk to a policy that can be used, or everything that is wrong with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from router.config.decode import decode
from router.config.expand import FILE_BYTES_MAX, Expansion
from router.config.extensions import extend
from router.config.files import read_at_most
from router.config.problems import PolicyError, Problem, Severity
from router.config.source import SIZE_BYTES_MAX, Document, parse
from router.config.templates import apply_templates
from router.core.policy import Policy
from router.core.policy.finding import Finding
from router.core.policy.power import ExpectedTraffic, power_findings
from router.core.policy.rules import findings


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy without errors, with the file it came from."""

    policy: Policy
    file: str
    digest: str
    """SHA-256 of the file and of every file it refers to, in hexadecimal."""
    warnings: tuple[Problem, ...] = ()
    document: Document = field(repr=False, compare=False, default_factory=lambda: Document(""))
    """Source positions, for warnings that are found later (statistics at a stated traffic)."""


def load(path: str | FilePath, environment: Mapping[str, str] | None = None) -> LoadedPolicy:
    """Read, expand, decode and check a policy file.

    `environment` is what ``${NAME}`` is looked up in; absent means the process environment.
    ``${file:...}`` is relative to the folder of the policy. Raises PolicyError with all problems:
    those of the syntax first, then all of the values, then all of the rules across fields.
    """
    try:
        data = read_at_most(path, SIZE_BYTES_MAX + 1)
    except OSError as error:
        document = Document(str(path))
        message = f"expected a readable file, got: {error.strerror or error}"
        raise PolicyError([document.problem((), message)]) from None
    return loads(data, str(path), environment)


def loads(
    data: bytes | str, file: str = "policy.yaml", environment: Mapping[str, str] | None = None
) -> LoadedPolicy:
    """As :func:`load`, from the content of a file."""
    document = parse(data, file)
    apply_templates(document)
    folder = FilePath(file).parent
    expansion = Expansion(
        document,
        os.environ if environment is None else environment,
        lambda name: read_at_most(folder / name, FILE_BYTES_MAX + 1),
    )
    expansion.run()
    left_out = [_problem(document, Finding((), one, error=False)) for one in extend()]
    try:
        policy: Policy = decode(document)
    except PolicyError as error:
        raise PolicyError([*error.problems, *left_out]) if left_out else error from None
    problems = [*left_out, *(_problem(document, finding) for finding in findings(policy))]
    if errors := [one for one in problems if one.severity is Severity.ERROR]:
        raise PolicyError([*left_out, *errors])
    raw = data.encode() if isinstance(data, str) else data
    return LoadedPolicy(policy, file, _digest(raw, expansion.files), tuple(problems), document)


def statistics(
    loaded: LoadedPolicy, requests_per_s: float, stable_bad_rate: float = 0.01
) -> list[Problem]:
    """Warnings about what the gates cannot see at this traffic, with their places in the file.

    Both rates are above 0, for every route alike; `stable_bad_rate` is below 0.5.
    """
    found: list[Problem] = []
    for index, route in enumerate(loaded.policy.routes):
        if route.rollout is not None:
            traffic = ExpectedTraffic(
                requests_per_s, stable_bad_rate, sticky=route.sticky is not None
            )
            for one in power_findings(route.rollout, traffic):
                path = ("routes", index, "rollout", *one.path)
                found.append(_problem(loaded.document, replace(one, path=path)))
    return found


def _digest(data: bytes, files: Mapping[str, str]) -> str:
    digest = hashlib.sha256(data)
    for name in sorted(files):
        digest.update(f"\0{name}\0{files[name]}".encode())
    return digest.hexdigest()


def _problem(document: Document, finding: Finding) -> Problem:
    made = document.problem(finding.path, finding.message, finding.hint)
    if finding.error:
        return made
    return Problem(
        made.file, made.mark, made.path, made.message, made.hint, made.snippet, Severity.WARNING
    )
