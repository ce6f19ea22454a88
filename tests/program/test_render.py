"""One artifact and the values of one contact: what comes out, and what is refused."""

from __future__ import annotations

import re
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.model import Value
from nurture.core.words import Voice
from nurture.errors import ProgramError, TemplateError
from nurture.program.artifact import Artifact, content_hash
from nurture.program.compile import compile_template
from nurture.program.render import Budget, Rendered, render

CANARY = "canary-4711"


def mail(body: str = "Hello", subject: str = "Hi", html: str | None = None) -> Artifact:
    sources = {"a.txt": "{% block subject %}" + subject + "{% endblock %}\n" + body}
    if html is not None:
        sources["a.html"] = html
    return compile_template("a", sources)


def unchecked(text: str, html: str | None = None) -> Artifact:
    """Return an artifact as a tampered database could hold it: never seen by `compile_template`."""
    names = frozenset(re.findall(r"[a-z_]+", text + (html or "")))
    return Artifact(
        "a", Voice.MARKETING, "Hi", text, html, names, hash=content_hash("a", Voice.MARKETING, "Hi", text, html)
    )


def failure(artifact: Artifact, **values: Value) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(artifact, values)
    return caught.value


def test_html_is_escaped_and_subject_and_text_are_not() -> None:
    artifact = mail("Dear {{ company }}", "For {{ company }}", '<p title="{{ company }}">{{ company }}</p>')
    rendered = render(artifact, {"company": """O'Neil & <Sons> "x" """})
    assert rendered.subject == """For O'Neil & <Sons> "x\""""
    assert rendered.text == """Dear O'Neil & <Sons> "x"\n"""
    assert "<Sons>" not in rendered.html
    assert rendered.html.count("O&#39;Neil &amp; &lt;Sons&gt; &#34;x&#34;") == 2


def test_a_value_never_becomes_a_tag_of_the_mail() -> None:
    artifact = mail("x", html="<p>{{ company | upper | replace('Q', '<') }} {{ company + '<b>' }}</p>")
    assert "<" not in re.sub(r"</?(html|head|body|p)>", "", render(artifact, {"company": "<i>Q"}).html)


def test_subject_is_one_line() -> None:
    artifact = mail(subject="For {{ company }}")
    assert render(artifact, {"company": "Q\r\nBcc: all@example.com"}).subject == "For Q Bcc: all@example.com"


def test_missing_variable_is_named_with_its_place() -> None:
    error = failure(mail("Hello\n\nDear {{ first_name }}"))
    assert (error.template, error.variable, error.line) == ("a", "first_name", 4)
    assert "templates/a.txt:4" in str(error)
    assert "default('…')" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "{{ x }}",
        "{{ x | upper }}",
        "{{ x | join }}",
        "{{ x | round }}",
        "{{ x | replace('a', 'b') }}",
        "{{ x + 'a' }}",
        "{{ 'a' + x }}",
        "{{ x * 2 }}",
        "{% if x %}a{% endif %}",
        "{% if x > 2 %}a{% endif %}",
        "{% if x == 2 %}a{% endif %}",
        "{% for y in x %}a{% endfor %}",
    ],
)
def test_every_use_of_a_missing_variable_holds_the_message(body: str) -> None:
    assert failure(mail("A " + body)).variable == "x"


@pytest.mark.parametrize("unknown", [None, ""])
def test_none_and_blank_count_as_unknown(unknown: Value) -> None:
    assert failure(mail("Dear {{ x }}"), x=unknown).variable == "x"
    assert render(mail("Dear {{ x | default('you') }}"), {"x": unknown}).text == "Dear you\n"


def test_a_template_can_do_without() -> None:
    body = "Hi {{ x | default('there') }}{% if x is defined %}, {{ x }}{% endif %}{{ '!' if x is undefined }}"
    assert render(mail(body), {}).text == "Hi there!\n"
    assert render(mail(body), {"x": "Ann"}).text == "Hi Ann, Ann\n"


def test_zero_and_false_are_known() -> None:
    assert render(mail("{{ n }} {{ flag }}"), {"n": 0, "flag": False}).text == "0 False\n"


def test_blank_parts_are_never_sent() -> None:
    assert "subject" in str(failure(mail(subject="{{ x | default(' ') }}")))
    assert "text" in str(failure(mail("{% if x is defined %}Hello{% endif %}")))


@pytest.mark.parametrize("raw", ["{{ company }}", "{% if x %}"])
def test_raw_tags_are_never_sent(raw: str) -> None:
    for artifact in (mail("Dear {{ x }}"), mail(subject="Dear {{ x }}"), mail(html="<p>{{ x }}</p>")):
        assert "raw" in str(failure(artifact, x=raw))


def test_lines_of_tags_leave_no_gaps() -> None:
    body = "One\n\n{% if x is defined %}\nTwo\n{% endif %}\n\nThree\n{% for t in ts %}\n- {{ t }}\n{% endfor %}\n"
    assert render(mail(body), {"ts": ("a", "b")}).text == "One\n\nThree\n- a\n- b\n"


def test_personal_html_is_the_text_as_a_person_would_send_it() -> None:
    body = "Hi <Ann> & co,\n\nsee https://x.example/a?b=1&c=(2)).\nAnd http://y.example, too\n\n\nDana\nAE"
    assert render(mail(body), {}).html == (
        '<!doctype html>\n<html><head><meta charset="utf-8"></head><body>\n'
        "<p>Hi &lt;Ann&gt; &amp; co,</p>\n"
        '<p>see <a href="https://x.example/a?b=1&amp;c=(2)">https://x.example/a?b=1&amp;c=(2)</a>).<br>\n'
        'And <a href="http://y.example">http://y.example</a>, too</p>\n'
        "<p>Dana<br>\nAE</p>\n"
        "</body></html>\n"
    )


def test_a_value_cannot_break_out_of_a_derived_link() -> None:
    rendered = render(mail("See {{ x }}"), {"x": """https://x.example/"onclick="alert(1)'><script>"""})
    assert "<script" not in rendered.html
    assert re.search(r'<a href="https://x\.example/">', rendered.html)


@given(st.text(min_size=1).filter(lambda text: not text.isspace() and "{{" not in text and "{%" not in text))
def test_any_value_renders_and_is_escaped(value: str) -> None:
    rendered = render(ANY, {"x": value})
    inner = rendered.html.partition("<p>")[2].rpartition("</p>")[0]
    assert "<" not in inner
    assert ">" not in inner


ANY = mail("A {{ x }}", "A {{ x }}", "<p>{{ x }}</p>")


def test_filters_and_loops_work() -> None:
    body = """{{ name | title | trim }} {{ n | round(1) }} {{ n | round }} {{ ts | join(' and ') }} {{ ts | length }}
{% for t in ts if t != 'b' %}{{ loop.index }}{{ t }}{{ ',' if not loop.last }}{% endfor %} {{ 2 + 3 * 4 }}
{% set who = name | upper %}{{ who }} {{ 'yes' if stage in ('lead', 'prospect') else 'no' }} {{ ts | first }}"""
    values: dict[str, Value] = {"name": " ann lee", "n": 2.345, "ts": ("a", "b", "c"), "stage": "lead"}
    assert render(mail(body), values).text == "Ann Lee 2.3 2 a and b and c 3\n1a,2c 14\n ANN LEE yes a\n"


def test_rendering_again_gives_the_same_and_shares_nothing() -> None:
    artifact = mail("{% set y = x | default('none') %}{{ y }}{% for t in ts %}{{ t }}{% endfor %}")
    first = render(artifact, {"x": "Ann", "ts": ("a",) * 9_000})
    assert render(artifact, {"ts": ("b",)}).text == "noneb\n"
    assert render(artifact, {"x": "Ann", "ts": ("a",) * 9_000}) == first


def test_a_stored_artifact_renders_the_same() -> None:
    artifact = mail("Hi {{ x }}", html="<p>{{ x }}</p>")
    stored = Artifact.from_json(artifact.to_json())
    assert render(stored, {"x": "Ann"}) == render(artifact, {"x": "Ann"})
    assert isinstance(render(stored, {"x": "Ann"}), Rendered)


FORBIDDEN = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ x.__init__.__globals__ }}",
    "{{ x | attr('__class__') }}",
    "{{ ('__class__', '__init__') | map(attribute='__class__') | join }}",
    "{{ self._TemplateReference__context }}",
    "{{ self }}",
    "{{ request.environ }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id') }}",
    "{{ lipsum(n=100000) }}",
    "{{ range(10000000) | join }}",
    "{{ dict(a=1) }}",
    "{% include '/etc/passwd' %}",
    "{% include '../nurture.toml' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import environ %}",
    "{% extends '/etc/passwd' %}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call x() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% autoescape false %}{{ x }}{% endautoescape %}",
    "{% set l %}{{ x }}{% endset %}",
    "{% set a, b = x, x %}",
    "{% set l = [l, l] %}",
    "{% for t in ts recursive %}{{ loop(ts) }}{% endfor %}",
    "{{ loop.__class__ }}",
    "{{ x | safe }}",
    "{{ x | pprint }}",
    "{{ x | tojson }}",
    "{{ '%s' | format(x) }}",
    "{{ '%1000000000s' | format(x) }}",
    "{{ ''.format }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{0.__class__}'.format_map({'0': x}) }}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ x | center(1000000000) }}",
    "{{ x | indent(1000000000) }}",
    "{{ x.ljust(1000000000) }}",
    "{{ x | list }}",
    "{{ {'a': x} }}",
]
"""What is not even loaded."""

GREEDY = [
    "{{ x['__class__'] }}",
    "{{ '%1000000000s' % x }}",
    "{{ 'a' * 1000000000 }}",
    "{{ (1, 2) * 1000000000 }}",
    "{{ 9 * 9000000000000000000 }}",
    "{{ 1 / 0 }}",
    "{{ 1 | round(1, 'ceil') }}",
    "{{ ts }}",
    "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a | replace('a', 'aa') %}" * 60 + "{{ a }}",
    "{% set a = 99999 %}" + "{% set a = a * a %}" * 60 + "{{ a }}",
    "{% for a in many %}{% for b in many %}x{% endfor %}{% endfor %}",
    "{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}x",
    "{% for a in many if a == 'b' %}{% endfor %}" * 40 + "x",
    "{% for a in many %}{{ long }}{% endfor %}",
    "{% for a in many %}{% set c = long | upper | lower | upper | lower | upper %}{% endfor %}",
    "{% for a in x %}{{ a }}{% endfor %}",
]
"""What only shows with values: loaded, and stopped in rendering."""


BAIT: dict[str, Value] = {"x": CANARY, "ts": ("a", "b"), "many": ("a",) * 5_000, "long": "a" * 16_000}


@pytest.mark.parametrize("source", FORBIDDEN + GREEDY, ids=lambda source: source[:50])
@pytest.mark.parametrize("part", ["text", "html"])
def test_malicious_template_is_stopped_at_once(source: str, part: str) -> None:
    artifact = unchecked(source) if part == "text" else unchecked("Hello", source)
    begin = perf_counter()
    with pytest.raises(TemplateError) as caught:
        render(artifact, BAIT)
    assert perf_counter() - begin < 2
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("source", FORBIDDEN + GREEDY, ids=lambda source: source[:50])
def test_loading_malicious_templates_is_harmless(source: str) -> None:
    begin = perf_counter()
    loaded = loads(source)
    assert perf_counter() - begin < 2
    assert loaded == (source in GREEDY)


def loads(source: str) -> bool:
    try:
        compile_template("a", {"a.txt": "{% block subject %}Hi{% endblock %}\n" + source})
    except ProgramError as error:
        return not error.problems
    return True


def test_nothing_but_its_own_values_reaches_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NURTURE_SMTP_PASSWORD", CANARY)
    for name in ("environ", "os", "settings", "globals", "range", "lipsum", "dict", "cycler", "turns"):
        artifact = mail("{{ " + name + " }}")
        assert failure(artifact).variable == name
        assert CANARY not in str(failure(artifact))


def test_values_that_a_template_does_not_name_are_not_handed_to_it() -> None:
    artifact = mail("{{ x }}")
    assert render(artifact, {"x": "Ann", "other": CANARY, "turns left": 3}).text == "Ann\n"


def test_objects_are_not_printed() -> None:
    assert "only texts and numbers" in str(failure(mail("{{ x }}"), x=object()))  # type: ignore[arg-type]


def test_output_budget_counts_bytes() -> None:
    artifact = mail("{{ x }}")
    assert render(artifact, {"x": "é" * 50}, budget=Budget(output_bytes=100)).text == "é" * 50 + "\n"
    with pytest.raises(TemplateError, match="longer than 100 bytes"):
        render(artifact, {"x": "é" * 51}, budget=Budget(output_bytes=100))


def test_loop_budget_is_shared_by_all_loops_of_a_part() -> None:
    artifact = mail("{% for t in ts %}{{ t }}{% endfor %}{% for t in ts %}{{ t }}{% endfor %}")
    render(artifact, {"ts": ("a",) * 5}, budget=Budget(turns=10))
    with pytest.raises(TemplateError, match="loops too often"):
        render(artifact, {"ts": ("a",) * 6}, budget=Budget(turns=10))


def test_a_huge_value_is_refused_where_a_template_could_multiply_it() -> None:
    artifact = mail("{% for t in ts %}{% if t in x %}a{% endif %}{% endfor %}b")
    assert "x is longer than" in str(failure(artifact, x="a" * 100_000, ts=("a",)))


def test_addresses_made_of_brackets_do_not_slow_it_down() -> None:
    begin = perf_counter()
    render(mail("{{ x }}"), {"x": "http://" + "a" + ")" * 100_000})
    render(mail("{{ x }}"), {"x": "http://a\n \n" * 20_000})
    assert perf_counter() - begin < 2


def test_compiled_templates_are_kept_between_mails() -> None:
    artifact = mail("Hello {{ x }}, " * 50, html="<p>Hello {{ x }}</p>" * 50)
    begin = perf_counter()
    render(artifact, {"x": "Ann"})
    first = perf_counter() - begin
    begin = perf_counter()
    for _ in range(20):
        render(Artifact.from_json(artifact.to_json()), {"x": "Ann"})
    assert (perf_counter() - begin) / 20 < first / 2
