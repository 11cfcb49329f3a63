"""Two worlds compared: everything that exists, without what chance decides (ids, times, addresses, secret values)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from typing import Any

from bench.emulator import Document

State = dict[str, Counter[str]]
"""Documents by table, each in a form that is equal in two runs that did the same."""

_CHANCE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<time>"),
    # A network, such as 10.0.0.0/24 or 0.0.0.0/0, is declared; a host in it is not.
    (re.compile(r"(?<![\d.])(?!\d{1,3}\.\d{1,3}\.\d{1,3}\.0/)\d{1,3}(\.\d{1,3}){3}(?![\d.])"), "<ip>"),
    (re.compile(r"\b[0-9a-f]{1,4}:[0-9a-f:]{6,}"), "<ip>"),
)
_SHORTEST_ID = 16
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\bSCW[0-9A-Z]{17}\b")
_DRAWN = re.compile(
    r"secret_key|secret_checksum|password|private_key|fingerprint|^token$|^_data$|^_namespace$|^reverse$|^mac_address$|crc|_at$|^_since"
)
"""Names of fields whose value is drawn or is a moment: only whether it is set counts."""
_NAMES = frozenset({"name", "user_name", "database_name"})
_EPOCH = 1e9
_SHOWN = 200


def normalised(snapshot: Document) -> State:
    """What a snapshot says, comparable."""
    tables: dict[str, dict[str, Document]] = snapshot["world"]["tables"]
    built_in = {(entry["table"], entry["key"]) for entry in tables.get("_built_in", {}).values()}
    labels: dict[str, str] = {}
    for table, rows in tables.items():
        for key, row in rows.items():
            for known_as in (key, row.get("access_key")):
                if isinstance(known_as, str) and len(known_as) >= _SHORTEST_ID:
                    labels.setdefault(known_as, f"<{table} {row.get('name') or ''}>")
    state: State = {}
    for table, rows in tables.items():
        if table.startswith("_"):
            continue
        own = [row for key, row in rows.items() if (table, key) not in built_in]
        if own:
            state[table] = Counter(json.dumps(_plain("", row, labels), sort_keys=True) for row in own)
    return state


def differences(wanted: State, found: State) -> list[str]:
    """What is missing from a state and what is too much, a line each."""
    lines = []
    for table in sorted(wanted.keys() | found.keys()):
        missing = wanted.get(table, Counter()) - found.get(table, Counter())
        surplus = found.get(table, Counter()) - wanted.get(table, Counter())
        for old, new in zip(sorted(missing.elements()), sorted(surplus.elements()), strict=False):
            lines.append(f"{table}: {_first_difference(json.loads(old), json.loads(new))}")
        lines += [f"{table}: missing: {row[:_SHOWN]}" for row in sorted(missing.elements())[surplus.total() :]]
        lines += [f"{table}: too many: {row[:_SHOWN]}" for row in sorted(surplus.elements())[missing.total() :]]
    return lines


def _plain(key: str, value: Any, labels: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_text(name, labels): _plain(name, child, labels) for name, child in value.items()}
    if isinstance(value, list):
        children = [_plain(key, child, labels) for child in value]
        return sorted(children, key=json.dumps) if key == "tags" or _are_named(value) else children
    if (_DRAWN.search(key) and value) or (isinstance(value, float) and value > _EPOCH):
        return "<drawn>"
    if isinstance(value, str):
        return labels.get(value) or _text(_decoded(value) if key == "body" else value, labels)
    return value


def _are_named(items: list[Any]) -> bool:
    """Whether these are objects with names: their order is that of creation, and says nothing."""
    return all(isinstance(item, dict) and not _NAMES.isdisjoint(item) for item in items)


def _text(text: str, labels: dict[str, str]) -> str:
    text = _IDS.sub(lambda found: labels.get(found[0], "<id>"), text)
    for pattern, name in _CHANCE:
        text = pattern.sub(name, text)
    return text


def _decoded(text: str) -> str:
    """Bodies of requests are kept in base64; ids stand inside."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


def _first_difference(old: Any, new: Any, path: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                return _first_difference(old.get(name), new.get(name), f"{path}.{name}")
    return f"{path.lstrip('.')}: {json.dumps(old)[:_SHOWN]} expected, {json.dumps(new)[:_SHOWN]} found"
