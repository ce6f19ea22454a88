"""Mail written as constant parts and values is byte for byte what Jinja writes, and refused where Jinja refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import nurture.benchmark.stock as stock
from nurture.core.model import Value
from nurture.core.words import Voice
from nurture.errors import TemplateError
from nurture.program.artifact import Artifact, content_hash
from nurture.program.load import load
from nurture.program.quick import understand
from nurture.program.render import Budget, render
from nurture.program.sandbox import parse

SHIPPED = load(Path(__file__).parents[2]).artifacts
ARTIFACTS = [*SHIPPED.values(), *stock.load().artifacts.values()]

TEXTS = st.text(st.sampled_from("ab <>&\"'{}%\n\rßé\u2028"), max_size=8)
VALUES = st.one_of(TEXTS, st.integers(-3, 3), st.booleans(), st.floats(-2, 2), st.just(("a", "<b>")), st.none())
NAMES = ("a", "b", "c")

EXPRESSIONS = st.recursive(
    st.sampled_from([*NAMES, "'x'", "2", "1.5", "true", "'{'", "'100%'"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["==", "!=", "<", ">=", "in", "not in"]), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or", "+"]), inner),
        st.builds("(not {})".format, inner),
        st.builds("({} | {})".format, inner, st.sampled_from(["upper", "lower", "join", "default('<t>')", "length"])),
        st.builds("({} | replace('a', {}))".format, inner, inner),
        st.builds("({} is {})".format, st.sampled_from(NAMES), st.sampled_from(["defined", "undefined"])),
    ),
    max_leaves=4,
)
BODIES = st.recursive(
    st.one_of(
        st.sampled_from(["Hello ", "100%", "%s %(a)s", "\n", "{", "%}", "<p>&amp;</p>"]),
        st.builds("{{{{ {} }}}}".format, EXPRESSIONS),
    ),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds(
            "{{% if {} %}}{}{{% elif {} %}}{}{{% else %}}{}{{% endif %}}".format, *[EXPRESSIONS, inner] * 2, inner
        ),
        st.builds("{{% for c in {} %}}{}{{% endfor %}}".format, EXPRESSIONS, inner),
    ),
    max_leaves=6,
)


def outcome(artifact: Artifact, values: dict[str, Value], *, quickly: bool) -> object:
    """Return what comes of rendering: a mail, or the words of the refusal."""
    try:
        return render(artifact, values, quickly=quickly)
    except TemplateError as error:
        return str(error), error.variable


@given(st.sampled_from(ARTIFACTS), st.data())
@settings(max_examples=60)
def test_shipped_mail_is_the_same_both_ways(artifact: Artifact, data: st.DataObject) -> None:
    values = {name: data.draw(st.one_of(st.just("Ann"), VALUES), name) for name in sorted(artifact.variables)}
    assert outcome(artifact, values, quickly=True) == outcome(artifact, values, quickly=False)


@given(BODIES, BODIES, st.dictionaries(st.sampled_from(NAMES), VALUES))
@settings(max_examples=150)
def test_any_template_is_the_same_both_ways(text: str, html: str, values: dict[str, Value]) -> None:
    key = content_hash("t", Voice.MARKETING, "Hi", text, html)
    artifact = Artifact("t", Voice.MARKETING, "Hi {{ a | default('you') }}", text, html, frozenset(NAMES), hash=key)
    assert outcome(artifact, values, quickly=True) == outcome(artifact, values, quickly=False)


@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda artifact: artifact.name)
def test_every_shipped_mail_is_simple_enough(artifact: Artifact) -> None:
    html = None if artifact.html is None else parse(artifact.html)
    assert understand(parse(artifact.subject), parse(artifact.text), html)


def test_a_quick_mail_keeps_to_its_budget() -> None:
    artifact = Artifact("t", Voice.MARKETING, "Hi", "{{ a }}", "<p>{{ a }}</p>", frozenset("a"), hash="budget")
    assert render(artifact, {"a": "é" * 60}, budget=Budget(output_bytes=130))
    for long in ("é" * 70, "x" * 131):
        with pytest.raises(TemplateError, match="longer than 130 bytes"):
            render(artifact, {"a": long}, budget=Budget(output_bytes=130))


# --- what is known of what came out -----------------------------------------------------------------------------------

PIECES = st.lists(st.sampled_from(["a", ".", "=", "_", "\n", "\r", "\0", " ", "é", "&"]), max_size=5).map("".join)
WORDS = st.one_of(st.just("Ann"), PIECES)
PLACES = st.lists(
    st.one_of(
        PIECES,
        st.sampled_from(["{{ a }}", "{{ b }}", "{{ b | replace('b', '') }}", "{{ c | default('.') }}"]),
        st.sampled_from(["{% if a == 'Ann' %}.x={% endif %}", "{% if b %}_{{ b }}{% else %}.{% endif %}"]),
    ),
    max_size=6,
).map("".join)


@given(PLACES, st.one_of(st.none(), PLACES), st.fixed_dictionaries({"a": WORDS, "b": WORDS}, optional={"c": WORDS}))
@example(" .x", "{{ a }}", {"a": "Ann", "b": "b"})
@example("{{ a }}", "x\n{{ b | replace('b', '') }}.x", {"a": "Ann", "b": "b"})
@example("{{ a }}", "x\n{{ b }}", {"a": "Ann", "b": "b\n.x"})
@settings(max_examples=200)
def test_what_is_promised_of_a_mail_is_so(text: str, html: str | None, values: dict[str, Value]) -> None:
    key = content_hash("t", Voice.MARKETING, "Hi", text, html)
    artifact = Artifact("t", Voice.MARKETING, "Hi", text, html, frozenset(NAMES), hash=key)
    try:
        mail = render(artifact, values)
    except TemplateError:
        return
    for part in (mail.text, mail.html):
        if mail.tame:
            assert not re.search(r"[\r\0]|=_", part)
        if mail.undotted:
            assert not part.startswith(".")
            assert "\n." not in part


@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda artifact: artifact.name)
def test_of_every_shipped_mail_all_is_promised(artifact: Artifact) -> None:
    ordinary: dict[str, Value] = dict.fromkeys(artifact.variables, "Ann")
    mail = render(artifact, ordinary)
    assert mail.tame
    assert mail.undotted == ("\n." not in mail.text + mail.html)
