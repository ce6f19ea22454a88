"""The HTML part of mail that was written as text: paragraphs, line breaks and links, nothing that looks designed."""

from __future__ import annotations

import re
from html import escape

_URL = re.compile(r"https?://[^\s<>\"]{1,2000}")
_TRAILING = ".,;:!?'*"


def html_of(text: str) -> str:
    """Return `text` as HTML: blank lines part paragraphs, addresses that begin with http become links."""
    paragraphs = "".join(f"<p>{_paragraph(block)}</p>\n" for block in _blocks(text))
    return f'<!doctype html>\n<html><head><meta charset="utf-8"></head><body>\n{paragraphs}</body></html>\n'


def _blocks(text: str) -> list[str]:
    return [block.strip("\n") for block in re.split(r"\n[ \t]*\n+", text.strip()) if block.strip()]


def _paragraph(block: str) -> str:
    if "http" not in block:
        return escape(block, quote=False).replace("\n", "<br>\n")
    output: list[str] = []
    last = 0
    for found in _URL.finditer(block):
        url = _without_trailing(found[0])
        output.append(escape(block[last : found.start()], quote=False))
        output.append(f'<a href="{escape(url)}">{escape(url, quote=False)}</a>')
        last = found.start() + len(url)
    output.append(escape(block[last:], quote=False))
    return "".join(output).replace("\n", "<br>\n")


def _without_trailing(url: str) -> str:
    """Leave the sentence its full stop, and a bracket that was opened before the address."""
    while url:
        if url[-1] in _TRAILING or (url[-1] == ")" and url.count(")") > url.count("(")):
            url = url[:-1]
            continue
        break
    return url
