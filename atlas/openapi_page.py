"""What the page of /api shows of the OpenAPI document: operations by group, a control for each parameter."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

CHECKS_MOST = 10  # choices that are shown as boxes to tick; more make a list


def page_groups(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the groups of a document with their operations, each with what a form needs."""
    held = document["components"]["parameters"]
    found: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, op in methods.items():
            own = [held[p["$ref"].rpartition("/")[2]] for p in op.get("parameters", ())]
            answer = next(iter(op["responses"].values()))
            kind = next(iter(answer["content"]))
            found[op["tags"][0]].append({
                "id": op["operationId"], "method": method.upper(), "path": path, "summary": words(op["summary"]),
                "controls": [control(p) for p in own], "kind": kind.partition(";")[0],
                "columns": answer["content"][kind].get("x-columns", []),
                "example": example_address(path, own) if method == "get" else "",
                "body": _body(op), "statuses": list(op["responses"])[1:],
            })  # fmt: skip
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    return [
        {"name": name, "id": name.lower().replace(" ", "-"), "about": about[name], "operations": ops}
        for name, ops in found.items()
        if ops
    ]


def words(text: str) -> list[tuple[bool, str]]:
    """Return a text in pieces: (whether it stands between backticks, the piece)."""
    return [(n % 2 == 1, piece) for n, piece in enumerate(text.split("`")) if piece]


def control(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a parameter is filled in: `select`, `boxes`, `list`, `lines`, `number`, `date` or `text`."""
    schema = parameter["schema"]
    item = schema["items"] if schema["type"] == "array" else schema
    options = [str(o) for o in item.get("enum", ())]
    if schema["type"] == "array":
        kind = "lines" if not options else "boxes" if len(options) <= CHECKS_MOST else "list"
    elif options:
        kind = "select"
    elif schema["type"] in ("integer", "number"):
        kind = "number"
    else:
        kind = "date" if schema.get("format") == "date" else "text"
    value = parameter.get("example", "")
    return {
        "name": parameter["name"], "where": parameter["in"], "about": words(parameter["description"]), "kind": kind,
        "options": options, "required": bool(parameter.get("required")),
        "values": [str(v) for v in value] if isinstance(value, list) else [str(value)] if value != "" else [],
        "default": str(schema["default"]) if "default" in schema else "",
        "low": schema.get("minimum"), "high": schema.get("maximum"),
        "step": "1" if schema["type"] == "integer" else "any",
        "joined": parameter.get("explode") is False,
    }  # fmt: skip


def example_address(path: str, parameters: list[Mapping[str, Any]]) -> str:
    """Return the address that asks the examples of the parameters, nothing where a part of the path has none."""
    asked: list[tuple[str, str]] = []
    for p in parameters:
        if "example" not in p:
            continue
        values = p["example"] if isinstance(p["example"], list) else [p["example"]]
        if p["in"] == "path":
            path = path.replace("{" + p["name"] + "}", quote(str(values[0]), safe=""))
        elif p.get("explode") is False:
            asked.append((p["name"], ",".join(map(str, values))))
        else:
            asked += [(p["name"], str(v)) for v in values]
    if "{" in path:
        return ""
    return path + (f"?{urlencode(asked, safe=':,/@')}" if asked else "")


def _body(op: Mapping[str, Any]) -> str:
    """Return the example of a body as text."""
    if "requestBody" not in op:
        return ""
    content = next(iter(op["requestBody"]["content"].values()))
    return json.dumps(content["examples"]["example"]["value"], ensure_ascii=False, indent=1)
