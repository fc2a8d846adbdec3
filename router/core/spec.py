"""The base of every type that can be written in a policy, and tagged choices between them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


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
        if handler.field_name is None:
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            cls.model_validate,
            ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
            metadata={"pydantic_js_functions": [lambda _, make: cls._json_schema(make)]},
        )

    @classmethod
    def _json_schema(cls, make: GetJsonSchemaHandler) -> JsonSchemaValue:
        cls.model_rebuild()
        return make(cls.__pydantic_core_schema__)

    @classmethod
    def unwritten(cls) -> Self:
        """What holds where it is not written: the defaults, without what reads others."""
        return cls.model_construct()


class OneOf:
    """Marks a field that is one entry of a visible table, written ``name: {settings}``.

    ``Annotated[Gate, OneOf(GATES)]`` reads ``- error_rate: {tolerance: 10%}``, ``- error_rate:``
    and a bare ``- error_rate``; the value is an instance of ``GATES["error_rate"]``. A new entry
    of the table can be written in policies, and shows in the JSON Schema, without another line.
    ``gone`` has the entries of earlier routers and what is expected in their place.
    """

    def __init__(
        self, table: Mapping[str, type[BaseModel]], what: str, gone: Mapping[str, str] | None = None
    ) -> None:
        self.table = table
        self.what = what
        self.gone = gone or {}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """A mapping with exactly one key, whose value is checked by that key's type."""
        fields = {
            name: core_schema.typed_dict_field(handler.generate_schema(entry), required=False)
            for name, entry in self.table.items()
        }
        tagged = core_schema.typed_dict_schema(fields, extra_behavior="forbid")
        return core_schema.chain_schema(
            [
                core_schema.no_info_plain_validator_function(self._tagged),
                tagged,
                core_schema.no_info_plain_validator_function(
                    lambda choice: next(iter(choice.values()))
                ),
            ],
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._written, info_arg=True
            ),
            metadata={"pydantic_js_functions": [lambda _, make: self._json_schema(tagged, make)]},
        )

    def _tagged(self, value: Any) -> Any:
        if isinstance(value, tuple(self.table.values())):
            return {self._name(value): value}
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

    def _name(self, value: object) -> str:
        for name, entry in self.table.items():
            if type(value) is entry:
                return name
        raise KeyError(type(value).__name__)

    def _written(self, value: BaseModel, info: core_schema.SerializationInfo) -> dict[str, Any]:
        return {self._name(value): value.model_dump(mode=info.mode)}

    def _json_schema(self, tagged: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler(tagged) | {"minProperties": 1, "maxProperties": 1}
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
