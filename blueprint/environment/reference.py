"""The file's reference, docs/environment.md, made from the models so that it cannot be wrong.

python -m blueprint.environment.reference      writes docs/environment.md and environments/schema.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blueprint.environment.schema import json_schema, written

_INTRODUCTION = """\
# The environment file

One file per environment, `environments/<env>.yaml`. It says what differs, not what follows: names, tags, passwords and
the rules between products are made by rule. `scaleway-infra validate <env>` checks it offline and tells every error at
once; `scaleway-infra schema` prints the JSON Schema that editors use (`environments/schema.json`).

This page is generated from the models in `blueprint/environment/`. Durations are written `500ms`, `10s`, `5m`, `12h`,
`7d`; sizes `10GB` (decimal). Booleans are `true` and `false`, as in YAML 1.2. A section whose keys all have defaults
may be left empty.

## Names by rule

| what | name | example |
|---|---|---|
| node | `<org>-<env>-<role>-<index>` | `lssm-prod-core-01` |
| VPC, private network | `vpc-<org>-<env>`, `pn-<org>-<env>-core` | `vpc-lssm-prod`, `pn-lssm-prod-core` |
| security group | `sg-<org>-<env>-<name>` | `sg-lssm-prod-backend` |
| gateway, load balancer | `gw-<org>-<env>`, `lb-<org>-<env>` | `gw-lssm-prod`, `lb-lssm-prod` |
| PostgreSQL, Redis | `db-<org>-<env>`, `redis-<org>-<env>` | `db-lssm-prod`, `redis-lssm-prod` |
| bucket, queue `<domain>/<what>` | `<domain>-<env>-<what>` | `equitya-prod-files`, `equitya-prod-jobs` |
| dead-letter queue | `<queue>-dlq` | `equitya-prod-jobs-dlq` |
| application, SSH key, certificate, credentials, token | `<org>-<env>-<name>` | `lssm-prod-backend` |
| secret | `<name>` in the folder `/<org>/<env>` | `/lssm/prod`, `session-key` |

Secrets that the engine makes itself, in the same folder: `postgresql-<user>`, `redis`, `<application>-api-key`,
`sqs-<credentials>`, `cockpit-<token>`, `backup-key`.

Everything that can carry tags carries `managed-by=scaleway-infra` and `environment=<org>-<env>`, and `protected` if
only `allow_destroy` lets it be deleted or replaced.
"""


def render() -> str:
    """The text of docs/environment.md."""
    schema = json_schema()
    sections = [_INTRODUCTION, *_section("The file", schema)]
    for name in _in_order_of_use(schema):
        sections += _section(name, schema["$defs"][name])
    return "\n".join(sections)


def render_schema() -> str:
    """The text of environments/schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _in_order_of_use(schema: dict[str, Any]) -> list[str]:
    found: list[str] = []

    def visit(definition: dict[str, Any]) -> None:
        for name in _references(definition.get("properties", {})):
            if name not in found:
                found.append(name)
                visit(schema["$defs"][name])

    visit(schema)
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _section(title: str, definition: dict[str, Any]) -> list[str]:
    lines = [
        f"## {title}",
        "",
        definition["description"],
        "",
        "| key | value | default | meaning |",
        "|---|---|---|---|",
    ]
    required = definition.get("required", ())
    for key, field in definition["properties"].items():
        default = "**required**" if key in required else _default(field)
        meaning = " ".join(field.get("description", "").split())
        examples = ", ".join(f"`{_literal(example)}`" for example in field.get("examples", ()))
        cells = (f"`{key}`", _type(field), default, f"{meaning} Example: {examples}" if examples else meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, {}, []) and default is not False else f"`{_literal(default)}`"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        words = dict.fromkeys(_type(option) for option in field["anyOf"] if option.get("type") != "null")
        if not words.keys().isdisjoint({"duration", "size"}):
            words.pop("number", None)
        return _bounded(" or ".join(words), field)
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in field:
        return ", ".join(f"`{_literal(choice)}`" for choice in field["enum"])
    if "const" in field:
        return f"`{_literal(field['const'])}`"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object":
        values = next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties", {}))
        return f"name -> {_type(values)}"
    return _bounded(_scalar(field), field)


def _scalar(field: dict[str, Any]) -> str:
    pattern = field.get("pattern", "")
    if "ms|s|m" in pattern:
        return "duration"
    if "MB|GB" in pattern:
        return "size"
    if "\\d+(-\\d+)" in pattern:
        return "range"
    return str(
        field.get("format")
        or {"string": "text", "integer": "number", "boolean": "`true`, `false`"}.get(field["type"], field["type"])
    )


def _bounded(word: str, field: dict[str, Any]) -> str:
    low, high = (written(field, field[bound]) if bound in field else None for bound in ("minimum", "maximum"))
    if low is None:
        return word
    return f"{word}, {low} or more" if high is None else f"{word}, {low} to {high}"


def main() -> None:
    """Writes the generated files of the checkout in the current folder."""
    Path("docs").mkdir(exist_ok=True)
    Path("docs/environment.md").write_text(render(), encoding="utf-8")
    Path("environments/schema.json").write_text(render_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
