"""Files that a policy names: whether they are there, and are what they should be.

:data:`NAMED` has every such key; a test holds that a new one is in it. Names begin in the working
directory of the router, and who checks a policy elsewhere may not have them: to `check` a file that
is not there is a warning, one that is there and is no such thing an error. To a router that starts,
or reads its policy again, each is an error where it could not serve without the file. The policy in
force then stays, with what was loaded for it.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Final

from router.config.check import LoadedPolicy
from router.config.files import read_at_most
from router.config.problems import Path, PolicyError, Problem, Severity
from router.core.policy import Policy
from router.core.table_head import HEAD, MAGIC

PEM_BYTES_MAX: Final = 16 * 1024 * 1024
"""Far above the certificate authorities of any system, which have some hundred kilobytes."""

_NOT_HERE: Final = (FileNotFoundError, NotADirectoryError, PermissionError)
"""Another machine, folder or user may have it."""
_MEND: Final = "put it there, or correct its name, which begins in the working directory"
_MAKE: Final = "make the folder, or name another file, from the working directory"
_OTHER: Final = "name another file, from the working directory"
_NO_START: Final = "no router starts without it"


class UnfitError(Exception):
    """A file is not what it should be: what was expected, and what it is."""


class NoFolderError(UnfitError):
    """There is no folder for a file that the router makes."""


class FilesMissing(PolicyError):  # noqa: N818 - a PolicyError, of which the files may be mended
    """Nothing is wrong in the policy but files that it names."""


LookAtFile = Callable[[str, Any], None]
"""``look(name, part)`` of a file that a part of a policy names. Raises OSError, UnfitError."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A key of the policy that names a file."""

    key: str
    """With ``*`` for each of a list or of a mapping."""
    look: LookAtFile
    without: str = _NO_START
    """What follows where the file cannot be used."""
    needed: bool = True
    """A router refuses to start, and to take a policy, without it."""


def _readable(name: str) -> None:
    kind = FilePath(name).stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise UnfitError(f"expected a file, got a device or a pipe: {name}")
    read_at_most(name, 1)


def _reference(name: str, _part: Any) -> None:
    _readable(name)


def _certificates(name: str, _part: Any = None) -> None:
    import ssl  # noqa: PLC0415 - slow to import, and most policies have none

    _readable(name)
    if FilePath(name).stat().st_size > PEM_BYTES_MAX:
        raise UnfitError(f"expected at most {PEM_BYTES_MAX:,} bytes in {name}, got more")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=name)
    except ssl.SSLError:
        raise UnfitError(f"expected certificates (PEM) in {name}, got none") from None


def _key(name: str, part: Any) -> None:
    import ssl  # noqa: PLC0415 - as above

    _readable(name)
    try:
        _certificates(part.certificate)
    except (OSError, UnfitError):
        return  # told of that key
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(part.certificate, name, password="")
    except ssl.SSLError as error:
        other = "MISMATCH" in (error.reason or "")
        got = "that of another one" if other else "none, or one with a password"
        raise UnfitError(
            f"expected the key (PEM) of {part.certificate} in {name}, got {got}"
        ) from None


def _table(name: str, _part: Any) -> None:
    _readable(name)
    head = read_at_most(name, HEAD.size)
    if len(head) < HEAD.size or not head.startswith(MAGIC):
        raise UnfitError(f"expected a table that `rampway table` has made in {name}, got none")


def _written(name: str, _part: Any) -> None:
    """A file that the router makes: its folder is there, and no folder has its name."""
    if "://" in name:
        if not name.startswith("sqlite:///"):
            return
        name = name.removeprefix("sqlite:///")
    path = FilePath(name)
    if path.is_dir():
        raise UnfitError(f"expected the name of a file, got a folder: {name}")
    if not path.parent.is_dir():
        raise NoFolderError(f"expected a folder that is there, got none: {path.parent.absolute()}")


NAMED: Final[tuple[NamedFile, ...]] = (
    NamedFile("tls.certificate", _certificates),
    NamedFile("tls.key", _key),
    NamedFile("admin.tls.certificate", _certificates),
    NamedFile("admin.tls.key", _key),
    NamedFile("store", _written),
    NamedFile("recording.file", _written, "nothing is recorded without it", needed=False),
    NamedFile("prediction_log.file", _written, "nothing is logged without it", needed=False),
    NamedFile("routes.*.versions.*.tls.ca", _certificates),
    NamedFile("routes.*.versions.*.tls.certificate", _certificates),
    NamedFile("routes.*.versions.*.tls.key", _key),
    NamedFile(
        "routes.*.versions.*.table.file", _table, "until it is there, `miss` answers", needed=False
    ),
    NamedFile(
        "routes.*.monitors.reference.file", _reference,
        "until it is there, no rollout begins that waits for it", needed=False,
    ),
)  # fmt: skip


def problems(loaded: LoadedPolicy, *, serving: bool = False, begun: bool = False) -> list[Problem]:
    """What is wrong with the files that a policy names; each file is looked at once.

    ``serving``: a router on this machine is to serve by it. ``begun``: one that serves already, and
    goes on where the folder of its store is gone.
    """
    seen: dict[tuple[LookAtFile, str, str | None], tuple[str, bool]] = {}
    found = []
    for named in NAMED:
        for path, part, name in _places(loaded.policy, named.key.split(".")):
            asked = named.look, name, getattr(part, "certificate", None)
            if asked not in seen:
                seen[asked] = _looked(named.look, name, part)
            message, there = seen[asked]
            if message:
                mend = _MEND if named.look is not _written else _OTHER if there else _MAKE
                one = loaded.document.problem(path, message, f"{mend}; {named.without}")
                error = named.needed and (serving or there)
                error = error and not (begun and named.look is _written)
                found.append(one if error else replace(one, severity=Severity.WARNING))
    return found


def servable(loaded: LoadedPolicy, *, begun: bool = False) -> LoadedPolicy:
    """The policy, for a router that serves by it: with warnings. Raises FilesMissing."""
    found = problems(loaded, serving=True, begun=begun)
    if errors := [one for one in found if one.severity is Severity.ERROR]:
        raise FilesMissing(errors)
    return replace(loaded, warnings=(*loaded.warnings, *found))


def needed(policy: Policy) -> frozenset[str]:
    """Names of the files without which no router serves by a policy, but for those it writes."""
    return frozenset(
        name
        for named in NAMED
        if named.needed and named.look is not _written
        for _, _, name in _places(policy, named.key.split("."))
    )


def digest(names: Iterable[str]) -> str:
    """Of the content of files; one that cannot be read has a digest of its own."""
    made = hashlib.sha256()
    for name in sorted(names):
        try:
            made.update(b"\0" + hashlib.sha256(read_at_most(name, PEM_BYTES_MAX)).digest())
        except OSError:
            made.update(b"\0")
    return made.hexdigest()


def _looked(look: LookAtFile, name: str, part: Any) -> tuple[str, bool]:
    """What is wrong with a file, empty where nothing is; and whether it is there."""
    try:
        look(name, part)
    except UnfitError as error:
        return str(error), not isinstance(error, NoFolderError)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"expected the readable file {name}, got: {reason}", not isinstance(error, _NOT_HERE)
    return "", True


def _places(part: Any, keys: list[str], path: Path = ()) -> Iterator[tuple[Path, Any, str]]:
    """Where a policy names a file by a key: the path there, the part that has the key, the name."""
    key, rest = keys[0], keys[1:]
    if key == "*":
        inside = part.items() if isinstance(part, Mapping) else enumerate(part)
        for each, value in inside:
            yield from _places(value, rest, (*path, each))
    elif (value := getattr(part, key)) is not None:
        if rest:
            yield from _places(value, rest, (*path, key))
        else:
            yield (*path, key), part, value
