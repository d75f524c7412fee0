"""The schemas of the OpenAPI document: their names, and what apispec does not make of marshmallow's schemas.

No schema of a response is closed, so that a later release may add fields and codes.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field

SchemaLike = type[Schema] | Schema
COMPONENTS = "#/components/schemas/"


def component_name(schema: SchemaLike) -> str:
    """Return the name of the class or, for the body of a resource's POST and PATCH, `New…` and `…Change`."""
    name = _class_of(schema).__name__
    if not name.endswith("Schema"):
        return name
    name = name.removesuffix("Schema")
    return f"{name}Change" if getattr(schema, "partial", None) else f"New{name}"


def refer_to_type(self: Any, field: Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to the schema that the `x-type` of a field names, in the place of what apispec made of it.

    This is an attribute function of apispec's converter; `ret` is what the others returned.
    """
    name = ret.pop("x-type", None)
    if name is None:
        return {}
    types = self.spec.components.schemas
    types.setdefault(name, ret | {"type": "string"})
    reference: dict[str, Any] = {"$ref": COMPONENTS + name}
    if field.allow_none:
        reference = {"anyOf": [reference, {"type": "null"}]}
    if (description := ret.get("description")) and description != types[name]["description"]:
        reference["description"] = description
    ret.clear()
    return reference


def complete(document: dict[str, Any], schemas: Mapping[str, SchemaLike]) -> None:
    """Complete the schemas of a document, which apispec made of these.

    Each gets its description and its example; those of responses are opened, the defaults of bodies are written as
    text, and a schema that extends another one refers to it.
    """
    components = document["components"]["schemas"]
    for name, schema in schemas.items():
        components[name]["description"] = inspect.cleandoc(schema.__doc__ or "")
        if example := vars(_class_of(schema)).get("example"):
            components[name]["examples"] = [example]
    bodies = _names_of_bodies(document)
    for name, component in components.items():
        if name in bodies:
            _describe_defaults(component)
        else:
            component.pop("additionalProperties", None)
    for name, base in _bases(schemas):
        components[name] = _extension(components[name], base, components[base])


def _bases(schemas: Mapping[str, SchemaLike]) -> Iterable[tuple[str, str]]:
    """Return the name of each schema that extends another one, with the name of that.

    A class extends its base class, and the body of POST that of PATCH.
    """
    name_by_class: dict[Any, str] = {_class_of(schema): name for name, schema in schemas.items()}
    for name, schema in schemas.items():
        change = f"{name.removeprefix('New')}Change"
        if base := change if change in schemas else name_by_class.get(_class_of(schema).__base__):
            yield name, base


def _extension(schema: dict[str, Any], base_name: str, base: dict[str, Any]) -> dict[str, Any]:
    """Return a schema as another one and what it adds to it or says differently.

    These are two parts of `allOf`: openapi-python-client takes a single reference for the schema itself.
    """
    properties, inherited = schema["properties"], base["properties"]
    required = sorted(set(schema.get("required", ())) - set(base.get("required", ())))
    if base.get("additionalProperties") is False and not properties.keys() <= inherited.keys():
        return schema
    added = [name for name, value in properties.items() if name in required or value != inherited.get(name)]
    addition: dict[str, Any] = {"type": "object", "properties": {name: properties[name] for name in added}}
    if required:
        addition["required"] = required
    extension: dict[str, Any] = {"allOf": [{"$ref": COMPONENTS + base_name}, addition]}
    return extension | {key: schema[key] for key in ("description", "examples") if key in schema}


def _describe_defaults(component: dict[str, Any]) -> None:
    """Write the defaults of a body as text: generated clients would send them, or require their fields."""
    values = {name: value.pop("default", None) for name, value in component.get("properties", {}).items()}
    if texts := [f"`{name}` {json.dumps(value)}" for name, value in values.items() if value is not None]:
        component["description"] += f" Defaults: {', '.join(texts)}."


def _names_of_bodies(document: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that bodies of requests have, with those inside of them."""
    bodies = [
        operation.get("requestBody")
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    names: set[str] = set()
    referred = _referred(bodies)
    while referred:
        names |= referred
        referred = _referred([document["components"]["schemas"][name] for name in referred]) - names
    return names


def _referred(part: Any) -> set[str]:
    return set(re.findall(f"{COMPONENTS}(\\w+)", str(part)))


def _class_of(schema: SchemaLike) -> type[Schema]:
    return schema if isinstance(schema, type) else type(schema)
