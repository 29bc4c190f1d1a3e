"""How a model reads a message, decided once: as Pydantic's JSON mode does, by the shorter way where that is the same.

A message has come as JSON, and some of what Pydantic does depends on that: a strict model takes a UUID from a string
only there, bytes may be base64, a validator may ask. But it has been parsed already, strictly, and to hand it over as
JSON once more takes longer than to validate it. So a model of plain types, for which both are the same, is given what
was parsed. A test compares the two for every kind that is listed here.
"""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel

from hubbub.protocol.messages import ENVELOPE

#: Kinds of Pydantic's core schemas that take the same from parsed JSON as from JSON.
_PLAIN = {"any", "none", "bool", "int", "float", "str"}
#: Those for which that is so by themselves: in a union it depends on how exactly each member fits, also where what the
#: member is stands elsewhere.
_ALONE = {"uuid", "datetime", "date", "time", "enum", "definition-ref"}
#: Settings of a model or a field of it by which it makes a difference how something was written.
_ASKING = ("strict", "coerce_numbers_to_str")
#: Where in a schema of these kinds the schemas are that it consists of. All others are not known to be the same.
_PARTS: dict[str, tuple[str, ...]] = {
    "list": ("items_schema",),
    "dict": ("keys_schema", "values_schema"),
    "nullable": ("schema",),
    "default": ("schema",),
    "union": ("choices",),
    "tagged-union": ("choices",),
    "function-after": ("schema",),
    "model": ("schema",),
    "model-fields": ("fields", "extras_schema"),
    "model-field": ("schema",),
    "definitions": ("schema", "definitions"),
}
_JSON_VALUES = (str, int, bool, NoneType)


def reads_parsed(model: type[BaseModel]) -> bool:
    """Whether what it takes from parsed JSON, if anything, is what it takes from JSON."""
    if not model.__pydantic_complete__:
        model.model_rebuild(raise_errors=False)
    schema: Any = model.__pydantic_core_schema__
    return bool(model.__pydantic_complete__) and _alike(schema)


def not_its_own(model: type[BaseModel]) -> frozenset[str]:
    """The keys of the envelope that the model does not declare, by a name or an alias."""
    return ENVELOPE.difference(_declared(model))


def _alike(schema: Mapping[str, Any], *, in_union: bool = False) -> bool:
    kind = schema["type"]
    config = schema.get("config", {})
    if any(schema.get(each) or config.get(each) for each in _ASKING) or schema.get("custom_init"):
        return False
    if kind in _PLAIN:
        return True
    if kind in _ALONE:
        return not in_union
    if kind == "dict" and in_union:
        return False  # beside one a model fits less exactly, except in JSON
    if kind == "literal":
        return all(type(value) in _JSON_VALUES for value in schema["expected"])
    if kind == "function-after" and schema["function"]["type"] != "no-info":
        return False  # it can ask for the mode
    in_union = in_union or kind.endswith("union")
    return kind in _PARTS and all(_alike(part, in_union=in_union) for part in _parts(schema, _PARTS[kind]))


def _parts(schema: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    for key in keys:
        found = schema.get(key, ())
        if isinstance(found, dict) and "type" in found and isinstance(found["type"], str):
            yield found
        else:
            listed = found.values() if isinstance(found, dict) else found
            # A member of a union may come with a label.
            yield from (each[0] if isinstance(each, tuple) else each for each in listed)


def _declared(model: type[BaseModel]) -> Iterator[str]:
    config = model.model_config
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    by_alias = config.get("validate_by_alias", True)
    for name, declared in model.model_fields.items():
        alias = declared.validation_alias
        if alias is None or by_name:
            yield name
        if by_alias:
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
            firsts = (choice.path[0] if isinstance(choice, AliasPath) else choice for choice in choices)
            yield from (first for first in firsts if isinstance(first, str))
