"""Bodies of S3's answers and requests, in XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from emulator.dataplane.plane import Answer
from emulator.dataplane.s3.refusals import S3Error

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def element(name: str, text: object) -> str:
    """An element with text; booleans as S3 writes them."""
    value = str(text).lower() if isinstance(text, bool) else str(text)
    # XML 1.0 has no form for these; a client that has such keys asks for `encoding-type=url`.
    return f"<{name}>{_UNFIT.sub('?', escape(value))}</{name}>"


def optional(name: str, text: str) -> str:
    """An element, or nothing for no text."""
    return element(name, text) if text else ""


def document(root: str, content: str, headers: dict[str, str] | None = None) -> Answer:
    """The answer with this root element."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_NAMESPACE}">{content}</{root}>'
    return Answer(200, body.encode(), {"Content-Type": "application/xml", **(headers or {})})


def parse(body: bytes) -> ElementTree.Element:
    """The root element of a request's body, names without their namespace.

    Raises:
        S3Error: MalformedXML.
    """
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate") from None
    for item in root.iter():
        item.tag = item.tag.rpartition("}")[2]
    return root
