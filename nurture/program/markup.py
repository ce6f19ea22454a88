"""MJML and HTML before values are filled in: checked, compiled once, with every Jinja tag kept verbatim.

mrml accepts unknown tags, drops what stands in the wrong place and explains little, so that the source is checked here
first, with places. Jinja tags are carried through mrml and the CSS inliner as tokens; what a compiler drops is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import css_inline
import mrml

from nurture.errors import Problem, ProgramError
from nurture.program.grammar import did_you_mean
from nurture.program.sources import Merged


def from_mjml(source: Merged) -> str:
    """Return the HTML of an MJML mail, with its Jinja tags in place. Raises ProgramError."""
    _check(source, mjml=True)
    shielded, tokens = _shield(source.text)
    try:
        html = mrml.to_html(shielded).content
    except (OSError, ValueError) as error:
        problem = source.place(0).problem(
            f"this MJML cannot be compiled: {error}", "close every tag, quote every value"
        )
        raise ProgramError([problem]) from None
    return _unshield(_with_line_ends(html), tokens, source)


_ROW_TAG = re.compile(r"(?:<tbody>|</(?:tbody|tr|style)>)(?=<(?!!--jinja))")
"""Where a line may end without a trace, because blanks between rows mean nothing."""
_LONG = 300


def _with_line_ends(html: str) -> str:
    """End long lines between rows.

    mrml writes one line of thousands of octets; with a line above 998 a whole mail must be encoded as quoted-printable,
    which takes 40 µs instead of 3 for each mail, and makes it a tenth larger.
    """
    lines, start = [], 0
    for tag in _ROW_TAG.finditer(html):
        if tag.end() - max(start, html.rfind("\n", start, tag.end()) + 1) > _LONG:
            lines.append(html[start : tag.end()])
            start = tag.end()
    return "\n".join((*lines, html[start:]))


def from_html(source: Merged) -> str:
    """Return HTML with its style sheet written into the elements (media queries stay). Raises ProgramError."""
    _check(source, mjml=False)
    shielded, tokens = _shield(source.text)
    try:
        html = _INLINER.inline(shielded)
    except (css_inline.InlineError, ValueError) as error:
        raise ProgramError([source.place(0).problem(f"the styles cannot be inlined: {error}")]) from None
    return _unshield(html, tokens, source)


_INLINER = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)

# The components of MJML 4 that mrml knows; https://documentation.mjml.io/#components
_CONTENT = frozenset(
    (
        *("mj-accordion-text", "mj-accordion-title", "mj-button", "mj-navbar-link", "mj-preview", "mj-raw"),
        *("mj-social-element", "mj-style", "mj-table", "mj-text", "mj-title"),
    )
)
"""Tags that hold HTML or text; in all others, HTML is silently dropped."""
_MJML = _CONTENT | frozenset(
    (
        *("mjml", "mj-head", "mj-body", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint", "mj-font"),
        *("mj-section", "mj-wrapper", "mj-group", "mj-column", "mj-hero", "mj-image", "mj-divider", "mj-spacer"),
        *("mj-accordion", "mj-accordion-element", "mj-carousel", "mj-carousel-image", "mj-navbar", "mj-social"),
        *("mj-html-attributes", "mj-selector", "mj-html-attribute"),
    )
)
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)

_JINJA = r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}"
_COMMENT = r"<!--(?!\s*\[if)(?!<!).*?-->"
_TOKEN = re.compile(r"jinja(\d+)kept")
_SHIELDED = re.compile(f"{_COMMENT}|{_JINJA}", re.DOTALL)
_STATEMENT = re.compile(r"\{%.*?%\}", re.DOTALL)
_ELEMENT = re.compile(
    r"""<(?P<close>/?)(?P<name>[A-Za-z][\w:-]*)(?P<attributes>(?:"[^"]*"|'[^']*'|[^'"<>])*?)(?P<empty>/?)>"""
)
_UNQUOTED = re.compile(r"""[\w:-]+\s*=\s*(?=[^\s"'])""")
_STYLE = re.compile(r"<(?:mj-)?style\b[^>]*>.*?</(?:mj-)?style>", re.DOTALL | re.IGNORECASE)


def _shield(text: str) -> tuple[str, dict[str, tuple[str, int]]]:
    """Replace Jinja tags by tokens and drop comments; return the text and (tag, offset) by token."""
    tokens: dict[str, tuple[str, int]] = {}
    output: list[str] = []
    inside = False
    last = 0
    for found in _SHIELDED.finditer(text):
        between = text[last : found.start()]
        output.append(between)
        inside = _inside_tag(between, inside)
        last = found.end()
        if found[0].startswith("<!--"):
            kept = list(_STATEMENT.finditer(found[0]))
        else:
            kept = [] if found[0].startswith("{#") else [found]
        for tag in kept:
            token = f"jinja{len(tokens)}kept"
            tokens[token] = (tag[0], found.start())
            output.append(f"<!--{token}-->" if tag[0].startswith("{%") and not inside else token)
    return "".join([*output, text[last:]]), tokens


def _inside_tag(text: str, before: bool) -> bool:
    opened, closed = text.rfind("<"), text.rfind(">")
    return before if opened == closed else opened > closed


def _unshield(html: str, tokens: Mapping[str, tuple[str, int]], source: Merged) -> str:
    lost = [token for token in tokens if token not in html]
    if lost:
        raise ProgramError([_at(source, *tokens[token], "stands where it is dropped") for token in lost])
    html = re.sub(r"<!--(jinja\d+kept)-->", r"\1", html)
    return _TOKEN.sub(lambda token: tokens[token[0]][0], html)


def _at(source: Merged, tag: str, offset: int, what: str) -> Problem:
    return source.place(offset).problem(f"{tag} {what}", "put it into the text of the mail")


def _check(source: Merged, *, mjml: bool) -> None:
    blank = _SHIELDED.sub(_blank, source.text)
    problems = [*_style_problems(source), *_element_problems(source, blank, mjml=mjml)]
    if mjml and not problems:
        problems = list(_stray(source, blank))
    if problems:
        raise ProgramError(problems)


def _blank(found: re.Match[str]) -> str:
    """Keep the length and the lines; a value stays a word, so that its missing quotes show."""
    return re.sub(r"[^\n]", "x" if found[0].startswith("{{") else " ", found[0])


def _style_problems(source: Merged) -> Iterator[Problem]:
    for style in _STYLE.finditer(source.text):
        for tag in re.finditer(_JINJA, style[0], re.DOTALL):
            yield _at(source, tag[0], style.start() + tag.start(), "cannot stand in a style sheet")


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    offset: int


def _element_problems(source: Merged, blank: str, *, mjml: bool) -> Iterator[Problem]:
    opened: list[_Open] = []
    for element in _ELEMENT.finditer(blank):
        name, place = element["name"].lower(), source.place(element.start())
        if name == "script":
            yield place.problem("mail cannot carry scripts", "take it out")
        if not mjml:
            continue
        if wrong := _name_problem(name, opened):
            yield place.problem(*wrong)
        if _UNQUOTED.search(re.sub(r""""[^"]*"|'[^']*'""", '""', element["attributes"])):
            yield place.problem(f"a value in <{name}> is not in quotes", 'write name="value"')
        if element["close"]:
            if not opened or opened[-1].name != name:
                yield place.problem(*_mismatch(name, opened))
                return
            opened.pop()
        elif not element["empty"] and name not in _VOID:
            opened.append(_Open(name, element.start()))
    for left in opened:
        yield source.place(left.offset).problem(f"<{left.name}> is never closed")


def _name_problem(name: str, opened: list[_Open]) -> tuple[str, str | None] | None:
    if name == "mj-include":
        return "<mj-include> is not used here", "write {% include 'snippets/name.mjml' %}"
    if name.startswith("mj"):
        return None if name in _MJML else (f"there is no MJML tag <{name}>", did_you_mean(name, _MJML))
    around = next((tag.name for tag in reversed(opened) if tag.name.startswith("mj")), None)
    if around is None or around in _CONTENT:
        return None
    return f"<{name}> stands in <{around}>, where MJML drops it", "put it into <mj-text>"


def _mismatch(name: str, opened: list[_Open]) -> tuple[str, str | None]:
    if not opened:
        return f"</{name}> closes nothing", None
    return f"</{name}> stands where </{opened[-1].name}> is expected", None


def _stray(source: Merged, blank: str) -> Iterator[Problem]:
    rest = _ELEMENT.sub(lambda found: " " * len(found[0]), blank)
    rest = re.sub(r"<!(?:--)?.*?>", lambda found: " " * len(found[0]), rest, flags=re.DOTALL)
    for found in re.finditer("<", rest):
        yield source.place(found.start()).problem("this '<' begins no tag", "write &lt;")
