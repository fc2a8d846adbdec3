"""The base of every type that can be written in a policy, and tagged choices between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Generic, Self, TypeVar, Union

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaValidator, core_schema


class Spec(BaseModel):
    """A frozen part of a policy. Unknown keys are errors; every field has a docstring below it.

    It is a sentence or two with the unit; editors show it while a policy is written.
    Fields are named as in YAML and typed with :mod:`router.core.quantities`, so `hold` is written
    ``5m`` and is 300.0 seconds here. ``model_dump(mode="json")`` gives the YAML spelling back,
    and validating that gives an equal object.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As part of another type it is read by itself: only what is written is ever built."""
        return handler(source) if handler.field_name is None else cls.by_itself()

    @classmethod
    def by_itself(cls) -> CoreSchema:
        """A schema that leaves the reading to the type, which is built when it is first written."""
        return core_schema.no_info_plain_validator_function(
            cls.model_validate,
            ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
            metadata={"pydantic_js_functions": [lambda _, make: cls.json_schema_of(make)]},
        )

    @classmethod
    def json_schema_of(cls, make: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What an editor is told of it, where it is a part of another type."""
        cls.model_rebuild()
        return make(cls.__pydantic_core_schema__)

    @classmethod
    def unwritten(cls) -> Self:
        """What holds where it is not written: the defaults, without what reads others."""
        return cls.model_construct()


class Later:
    """Stands for ``module:Type`` in the annotation of a key that few policies have.

    The module is imported when the key is first written, or when somebody asks for the schema. All
    of a policy that has such a key has it by the same ``Later``: the schema then tells of it once.
    """

    def __init__(self, spelled: str) -> None:
        self._spelled = spelled
        _SPELLED[spelled] = None

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 - the other spelling calls this very method

    @property
    def kind(self) -> type[Spec]:
        """The type itself."""
        return _imported(self._spelled)

    def _read(self, value: Any) -> Spec:
        return self.kind.model_validate(value)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """As :meth:`Spec.by_itself`, without the type."""
        return core_schema.no_info_plain_validator_function(
            self._read,
            ref=f"{self._spelled.replace(':', '.')}:{id(self)}",
            metadata={"pydantic_js_functions": [lambda _, make: self._json_schema(make)]},
        )

    def _json_schema(self, make: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.kind.json_schema_of(make)


_SPELLED: dict[str, None] = {}
"""Every ``module:Type`` so far, of whatever table."""


def import_all() -> None:
    """Import every type that is named by a text, also those that such a type names.

    For a process that goes on: what is on the disk later may be of another version.
    """
    done = 0
    while len(_SPELLED) > done:
        waiting = list(_SPELLED)[done:]
        done += len(waiting)
        for spelled in waiting:
            _imported(spelled)


def _imported(spelled: str) -> type[Any]:
    module, _, name = spelled.partition(":")
    found: type[Any] = getattr(import_module(module), name)
    return found


KindT = TypeVar("KindT", bound=Spec)


class Kinds(MutableMapping[str, type[KindT]], Generic[KindT]):
    """A visible table of types by the names they are written with.

    An entry is a type, or ``module:Type``, which is imported when somebody first asks for it: a
    policy that names four gates imports four.
    """

    def __init__(self, entries: Mapping[str, type[KindT] | str]) -> None:
        self._entries = dict(entries)
        _SPELLED.update((entry, None) for entry in entries.values() if isinstance(entry, str))

    def __getitem__(self, name: str) -> type[KindT]:
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = _imported(entry)
        return entry

    def __setitem__(self, name: str, entry: type[KindT]) -> None:
        self._entries[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def name(self, value: object) -> str:
        """The name of what ``value`` is exactly; empty: it is nothing of the table."""
        kind = type(value)
        spelled = f"{kind.__module__}:{kind.__qualname__}"
        return next((name for name, one in self._entries.items() if one in (kind, spelled)), "")


class OneOf:
    """Marks a field that is one entry of a visible table, written ``name: {settings}``.

    ``Annotated[Gate, OneOf(GATES)]`` reads ``- error_rate: {tolerance: 10%}``, ``- error_rate:``
    and a bare ``- error_rate``; the value is an instance of ``GATES["error_rate"]``. A new entry
    of the table can be written in policies, and shows in the JSON Schema, without another line.
    ``gone`` has the entries of earlier routers and what is expected in their place.
    """

    def __init__(self, table: Kinds[Any], what: str, gone: Mapping[str, str] | None = None) -> None:
        self.table = table
        self.what = what
        self.gone = gone or {}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """A mapping with exactly one key, whose value is checked by that key's type."""
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._written, info_arg=True
            ),
            metadata={"pydantic_js_functions": [lambda _, make: self._json_schema(make)]},
        )

    def _read(self, value: Any) -> Any:
        if self.table.name(value):
            return value
        tagged = self._tagged(value)
        schema = self._schema(name for name in tagged if name in self.table)
        return next(iter(SchemaValidator(schema).validate_python(tagged).values()))

    def _schema(self, names: Iterable[str]) -> CoreSchema:
        fields = {
            name: core_schema.typed_dict_field(self.table[name].by_itself(), required=False)
            for name in names
        }
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")

    def _tagged(self, value: Any) -> Mapping[str, object]:
        self._refuse_gone(value)
        if isinstance(value, str):
            if value not in self.table:
                close = get_close_matches(value, self.table, n=1)
                hint = f". Did you mean {close[0]}?" if close else ""
                raise ValueError(
                    f"expected a {self.what} ({self._names()}), got {value!r:.40}{hint}"
                )
            return {value: {}}
        if not isinstance(value, Mapping):
            raise ValueError(f"expected one {self.what} ({self._names()}), got {value!r:.40}")  # noqa: TRY004 - pydantic collects ValueErrors
        if len(value) != 1:
            raise ValueError(
                f"expected exactly one {self.what} ({self._names()}), got {len(value)}"
            )
        return {name: {} if settings is None else settings for name, settings in value.items()}

    def _refuse_gone(self, value: Any) -> None:
        names = value if isinstance(value, Mapping) else (value,) if isinstance(value, str) else ()
        for name in names:
            if name in self.gone and name not in self.table:
                raise ValueError(f"expected {self.gone[name]}")

    def _names(self) -> str:
        return ", ".join(self.table)

    def _written(self, value: BaseModel, info: core_schema.SerializationInfo) -> dict[str, Any]:
        return {self.table.name(value): value.model_dump(mode=info.mode)}

    def _json_schema(self, make: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = make(self._schema(self.table)) | {"minProperties": 1, "maxProperties": 1}
        return {"anyOf": [mapping, {"enum": list(self.table)}]}


class ShortFor:
    """Marks a field for which plain text is short for a mapping with that text under one key.

    ``Annotated[ValueMatch, ShortFor("exact")]`` reads ``acme`` as ``{exact: acme}``.
    """

    def __init__(self, key: str) -> None:
        self.key = key

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Text becomes the mapping before the type itself looks at it."""
        return core_schema.no_info_before_validator_function(self._long, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Either what the key takes, or the mapping."""
        long = handler(schema)
        of_key = handler.resolve_ref_schema(long).get("properties", {}).get(self.key, {})
        told = {key: of_key[key] for key in ("pattern", "examples") if key in of_key}
        short = {"enum": of_key["enum"]} if "enum" in of_key else {"type": "string", **told}
        return {"anyOf": [short, long]}

    def _long(self, value: Any) -> Any:
        return {self.key: value} if isinstance(value, str) else value
