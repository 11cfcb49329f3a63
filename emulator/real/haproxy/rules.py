"""ACLs and routes as HAProxy writes them: who gets in, who is sent elsewhere, which backend answers."""

from __future__ import annotations

import re

from emulator.world import Document

FILTERS = {"path_begin": "path_beg", "path_end": "path_end", "regex": "path_reg"}

PLACEHOLDERS = {
    "{{host}}": "%[req.hdr(host)]",
    "{{path}}": "%[path]",
    "{{query}}": "%[query]",
    "{{scheme}}": "%[ssl_fc,iif(https,http)]",
}
"""What the target of a redirection may say of the request."""


def quote(text: str) -> str:
    """One argument, whatever is in it: nothing that a client of the API wrote becomes a directive."""
    escaped = re.sub(r'([\\"$])', r"\\\1", text)
    return '"' + escaped.replace("\n", r"\n").replace("\r", r"\r") + '"'


def rule(acl: Document, protocol: str) -> str | None:
    """The line of one ACL; None if it can never apply, or not to this protocol."""
    verb = _verb(acl["action"], protocol)
    match = acl["match"]
    if verb is None:
        return None
    if match is None:
        return verb
    conditions = _conditions(match, protocol)
    if not conditions:
        return None if match["invert"] else verb
    return f"{verb} {'unless' if match['invert'] else 'if'} {' '.join(conditions)}"


def _verb(action: Document, protocol: str) -> str | None:
    if protocol == "tcp":
        return {"allow": "tcp-request content accept", "deny": "tcp-request content reject"}.get(action["type"])
    if action["type"] != "redirect":
        return f"http-request {action['type']}"
    redirect = action["redirect"]
    if redirect["type"] == "scheme":
        return f"http-request redirect scheme {quote(redirect['target'])} code {redirect['code']}"
    # The target is a log-format to HAProxy: a per cent sign of the user's own is doubled.
    target = str(redirect["target"]).replace("%", "%%")
    for placeholder, expression in PLACEHOLDERS.items():
        target = target.replace(placeholder, expression)
    return f"http-request redirect location {quote(target)} code {redirect['code']}"


def _conditions(match: Document, protocol: str) -> list[str]:
    conditions = []
    if match["ip_subnet"]:
        conditions.append(_condition("src", match["ip_subnet"]))
    if protocol == "http" and match["http_filter_value"]:
        if fetch := FILTERS.get(match["http_filter"]):
            conditions.append(_condition(fetch, match["http_filter_value"]))
        elif match["http_filter"] == "http_header_match":
            conditions.append(_condition(quote(f"req.hdr({match['http_filter_option']})"), match["http_filter_value"]))
    return conditions


def _condition(fetch: str, values: list[str]) -> str:
    return f"{{ {fetch} -- {' '.join(quote(value) for value in values)} }}"


def route(document: Document, protocol: str, *, terminates_tls: bool) -> list[str]:
    """The lines that send what a route matches to its backend; none if it cannot match in this protocol.

    Args:
        document: the route.
        protocol: of the frontend: http or tcp.
        terminates_tls: whether the frontend has certificates; else the name is read from the TLS hello passing by.
    """
    match, backend = document["match"], document["backend_id"]
    if "sni" in match:
        fetch, name = "ssl_fc_sni" if terminates_tls else "req.ssl_sni", match["sni"]
    elif protocol != "http":
        return []
    elif "path_begin" in match:
        return [f"use_backend {backend} if {{ path_beg -- {quote(match['path_begin'])} }}"]
    else:
        # The port that a client adds to the name is not part of it.
        fetch, name = "req.hdr(host),field(1,:)", match["host_header"]
    lines = [f"use_backend {backend} if {{ {fetch} -i -- {quote(name)} }}"]
    if match["match_subdomains"]:
        lines.append(f"use_backend {backend} if {{ {fetch} -i -m end -- {quote('.' + name)} }}")
    return lines
