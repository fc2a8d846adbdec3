"""State that outlives a process, told once: its snapshot and the way back follow from it.

    class Pot(Lasting, later="alarms"):
        shares: list[float]
        events: int
        horizon: int | None
        alarms: int | None

The annotations of a class are what it keeps; its other attributes are made anew. A snapshot has a
key a field, without a leading underscore. What is laid out otherwise is said with the class:

* ``counts="bad ok"``: the key ``counts`` holds a list of these fields, ``*sums`` stands for the
  members of a list whose length is fixed; ``stable="_stables"``: one field under another name.
* ``listed="round reason"``: the whole snapshot is such a list, ``bare="pot"``: it is this field.
* ``later="alarms"``: fields that snapshots of earlier routers lack; they stay as they were made.

Fields are numbers, texts, None, lists, tuples, sets, enums, dictionaries (of texts: objects of
JSON, else lists of flat rows), frozen dataclasses and named tuples (rows of their fields; objects
of JSON where they are :class:`ByName`), and parts: whatever has `snapshot` and `restore` itself and
is restored where it stands. A property that lists parts can be named like a field, and one that
can be set. JSON keeps floats exactly.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)


class Lasting:
    """Has a snapshot, and can be restored from one, by the fields of its annotations."""

    __slots__ = ()
    _kept_rows: ClassVar[dict[str, str]] = {}
    _kept_later: ClassVar[frozenset[str]] = frozenset()
    _kept_whole: ClassVar[str] = ""
    """The key that is the whole snapshot, `listed` or `bare`; empty: it is a dictionary."""

    def __init_subclass__(
        cls, *, listed: str = "", bare: str = "", later: str = "", **rows: str
    ) -> None:
        """See the module."""
        super().__init_subclass__()
        whole = {"listed": listed} if listed else {"bare": bare} if bare else {}
        cls._kept_whole = next(iter(whole), cls._kept_whole)
        cls._kept_rows = cls._kept_rows | whole | rows
        cls._kept_later = cls._kept_later | set(later.split())

    def snapshot(self) -> Any:
        """JSON-able state, exact."""
        return (_LAYOUTS.get(type(self)) or _layout(type(self))).tell(self)

    def restore(self, data: Any) -> None:
        """Take over a snapshot, also of an earlier router.

        Raises ValueError, KeyError or TypeError if it is damaged or of something else.
        """
        try:
            data = self._formerly(data)
            if self._kept_whole:
                data = {self._kept_whole: data}
            for key, fields in (_LAYOUTS.get(type(self)) or _layout(type(self))).keys:
                if key in data or not all(one.name in self._kept_later for one in fields):
                    self._load(key, fields, list(data[key]) if _is_row(fields) else [data[key]])
            self._restored()
        except (AttributeError, IndexError, OverflowError) as error:
            raise ValueError(f"damaged: {error}") from error

    def _load(self, key: str, fields: list[_Field], values: list[Any]) -> None:
        for name, codec, spread in fields:
            if not values and name in self._kept_later:
                return
            size = len(getattr(self, name)) if spread else 1
            taken, values = values[:size], values[size:]
            if len(taken) != size:
                raise ValueError(f"{key}: no more values for {name}")
            value = taken if spread else taken[0]
            self._make_parts(name, value)
            old = getattr(self, name, None)
            if (loaded := codec.load(value, old)) is not old or old is None:
                setattr(self, name, loaded)
        if values:
            raise ValueError(f"{key}: {len(values)} values more than fields")

    def _formerly(self, data: Any) -> Any:
        """An earlier router's snapshot as one of today's, where the layout has changed."""
        return data

    def _make_parts(self, name: str, data: Any) -> None:
        """Make the parts that ``data`` has, in a field where their number varies."""

    def _restored(self) -> None:
        """Check what is there now, and make what follows from it. Raises ValueError."""


class ByName:
    """A frozen dataclass that is kept as an object of JSON, a key a field."""

    __slots__ = ()

    def to_json(self) -> Any:
        """Exact."""
        return {name: codec.dump(getattr(self, name)) for name, codec in _names(type(self)).items()}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The inverse; fields with a default may be missing. Raises TypeError, ValueError."""
        codecs = _names(cls).items()
        made = cls(**{n: codec.load(data[n], None) for n, codec in codecs if n in data})
        made._restored()
        return made

    def _restored(self) -> None:
        """Check what is there now. Raises ValueError."""


class Codec(NamedTuple):
    """How values of one type become JSON and come back."""

    dump: Any
    """From the value."""
    load: Any
    """From JSON, and the value that stands there now."""
    width: int | None = 1
    """How many values of a flat row it takes; None: all that are left."""
    part: bool = False
    """It is restored where it stands."""


class _Field(NamedTuple):
    name: str
    codec: Codec
    spread: bool


class _Layout(NamedTuple):
    keys: list[tuple[str, list[_Field]]]
    tell: Callable[[Lasting], Any]


_LAYOUTS: dict[type, _Layout] = {}
_NAMED: dict[type, dict[str, Codec]] = {}


def _layout(cls: type[Lasting]) -> _Layout:
    """Made when it is asked for first: it is asked for with every snapshot."""
    kinds = {k: v for k, v in get_type_hints(cls).items() if get_origin(v) is not ClassVar}
    codecs = {name: codec_of(kind) for name, kind in kinds.items()}

    def field(word: str) -> _Field:
        if (name := word.lstrip("*")) not in codecs:  # a property
            codecs[name] = codec_of(get_type_hints(getattr(cls, name).fget)["return"])
        return _Field(name, codecs[name], spread=name != word)

    rows = {key: [field(word) for word in names.split()] for key, names in cls._kept_rows.items()}
    within = {one.name for fields in rows.values() for one in fields}
    if not cls._kept_whole:
        rows |= {
            name.lstrip("_"): [_Field(name, codec, spread=False)]
            for name, codec in codecs.items()
            if name not in within
        }
    _LAYOUTS[cls] = _Layout(list(rows.items()), _teller(rows, cls._kept_whole))
    return _LAYOUTS[cls]


def _teller(keys: dict[str, list[_Field]], whole: str) -> Callable[[Lasting], Any]:
    """What one would write by hand: a thousand rollouts tell theirs again and again."""
    dumps: list[Any] = []

    def expression(field: _Field) -> str:
        name, codec, spread = field
        value = f"kept.{name}"
        if codec.dump is _snapshot:
            value += ".snapshot()"
        elif codec.dump is not _same:
            dumps.append(codec.dump)
            value = f"dumps[{len(dumps) - 1}]({value})"
        return f"*{value}" if spread else value

    told = {}
    for key, fields in keys.items():
        values = ", ".join(map(expression, fields))
        told[key] = f"[{values}]" if _is_row(fields) else values
    pairs = ", ".join(f"{key!r}: {value}" for key, value in told.items())
    text = told[whole] if whole else f"{{{pairs}}}"
    made: Callable[[Lasting], Any] = eval(f"lambda kept: {text}", {"dumps": dumps})  # noqa: S307 - our own names
    return made


def _is_row(fields: list[_Field]) -> bool:
    return len(fields) > 1 or fields[0].spread


def codec_of(kind: Any) -> Codec:
    """Of an annotation. Raises TypeError for one that no snapshot can hold."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind in (int, float, str, bool):
        return Codec(_same, lambda data, _old: _plain(kind, data))
    if kind in (Any, object) or origin is Literal:
        return Codec(_same, _same)
    if origin in (Union, types.UnionType):
        return _optional(codec_of(next(one for one in inner if one is not types.NoneType)))
    if hasattr(origin, "snapshot"):
        listed = getattr(origin, "_kept_whole", "") == "listed"
        return Codec(_snapshot, _restored, None if listed else 1, part=True)
    if issubclass(origin, enum.Enum):
        return Codec(lambda value: value.value, lambda data, _old: kind(data))
    if dataclasses.is_dataclass(origin) or hasattr(origin, "_fields"):
        return _record(kind)
    if issubclass(origin, dict):
        key, value = codec_of(inner[0]), codec_of(inner[-1] if inner[1:] else int)
        return _table(origin, key, value, texts=issubclass(inner[0], str | enum.Enum))
    if origin is tuple and inner[-1] is not ...:
        return _row(tuple(map(codec_of, inner)), len(inner), lambda *values: values)
    if origin in (list, tuple, set, frozenset, deque):
        return _many(origin, codec_of(inner[0]))
    raise TypeError(f"no snapshot can hold {kind}")


def _plain(kind: type, data: Any) -> Any:
    if isinstance(data, str) is not (kind is str):
        raise ValueError(f"expected {kind.__name__}, got {data!r:.40}")
    return kind(data)


def _names(kind: Any) -> dict[str, Codec]:
    if kind not in _NAMED:
        hints = get_type_hints(kind)
        _NAMED[kind] = {one.name: codec_of(hints[one.name]) for one in dataclasses.fields(kind)}
    return _NAMED[kind]


def _same(value: Any, _old: Any = None) -> Any:
    return value


def _snapshot(part: Any) -> Any:
    return part.snapshot()


def _restored(data: Any, part: Any) -> Any:
    if part is None:
        raise ValueError("there is no such part")
    part.restore(data)
    return part


def _optional(codec: Codec) -> Codec:
    def load(data: Any, old: Any) -> Any:
        if data is None:
            return old if codec.part else None
        return codec.load(data, old)

    return Codec(lambda value: None if value is None else codec.dump(value), load, part=codec.part)


def _row(codecs: tuple[Codec, ...], least: int, made: Any) -> Codec:
    """``least``: values that must be there; the others have a default."""

    def load(data: Any, _old: Any) -> Any:
        if not least <= len(data) <= len(codecs):
            raise ValueError(f"expected {len(codecs)} values, got {len(data)}")
        return made(*[codec.load(one, None) for codec, one in zip(codecs, data, strict=False)])

    def dump(values: Any) -> list[Any]:
        return [codec.dump(one) for codec, one in zip(codecs, values, strict=True)]

    plain = all(codec.dump is _same for codec in codecs)
    return Codec(list if plain else dump, load, len(codecs))


def _record(kind: Any) -> Codec:
    """Of a named tuple or a dataclass, by position; newer fields have a default."""
    if issubclass(kind, ByName):
        return Codec(lambda value: value.to_json(), lambda data, _old: kind.from_json(data))
    hints = get_type_hints(kind)
    names = getattr(kind, "_fields", None) or [one.name for one in dataclasses.fields(kind)]
    codecs = tuple(codec_of(hints[name]) for name in names)
    told = [(place, one.dump) for place, one in enumerate(codecs) if one.dump is not _same]
    values_of = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)

    def dump(value: Any) -> list[Any]:
        values = list(values_of(value))
        for place, one in told:  # thousands may wait to be told: the rest is as it is
            values[place] = one(values[place])
        return values

    return _row(codecs, 0, kind)._replace(dump=dump)


def _many(kind: Any, member: Codec) -> Codec:
    def load(data: Any, old: Any) -> Any:
        if member.part:
            for one, part in zip(data, old, strict=True):
                member.load(one, part)
            return old
        loaded = (member.load(one, None) for one in data)
        return deque(loaded, old.maxlen) if kind is deque else kind(loaded)

    if kind in (set, frozenset):
        return Codec(lambda values: sorted(map(member.dump, values)), load)
    if member.dump is _same:
        return Codec(list, load, None)
    return Codec(lambda values: [member.dump(one) for one in values], load, None)


def _table(kind: Any, key: Codec, value: Codec, *, texts: bool) -> Codec:
    """An object of JSON; or rows, flat where key or value take several places."""

    def dump(table: Any) -> Any:
        if not table:
            return {} if texts else []
        found = [(key.dump(name), value.dump(one)) for name, one in table.items()]
        if texts:
            return dict(found)
        return [[*_places(name, key), *_places(one, value)] for name, one in found]

    def load(data: Any, old: Any) -> Any:
        if isinstance(data, dict) is not texts:
            raise TypeError(f"expected {'an object' if texts else 'rows'}, got {data!r:.40}")
        made = kind()
        for told, one in data.items() if texts else (_parted(row, key, value) for row in data):
            name = key.load(told, None)
            made[name] = value.load(one, old[name] if value.part else None)
        return made

    return Codec(dump, load, None)


def _places(value: Any, codec: Codec) -> list[Any]:
    return [value] if codec.width == 1 else value


def _parted(row: list[Any], key: Codec, value: Codec) -> tuple[Any, Any]:
    """A flat row's key and value."""
    if value.width == 1:
        *name, one = row
    else:
        name, one = row[: key.width], row[key.width :]
    return (name[0] if key.width == 1 and len(name) == 1 else name), one
