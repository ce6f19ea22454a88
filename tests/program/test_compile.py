"""What a folder of templates compiles to, and how its mistakes are told."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from nurture.core.words import Voice
from nurture.errors import Problem, ProgramError
from nurture.program.artifact import Artifact
from nurture.program.compile import compile_template, names
from nurture.program.render import render

SHIPPED = Path(__file__).parents[2] / "templates"

LAYOUT = """<mjml><mj-body>
<mj-section><mj-column>
{% block content %}{% endblock %}
<mj-text><a href="{{ unsubscribe_url }}">Stop</a> {{ our_postal_address }}</mj-text>
</mj-column></mj-section>
</mj-body></mjml>
"""
TEXT_LAYOUT = "{% block content %}{% endblock %}\n\n-- \n{{ our_postal_address }}\n{{ unsubscribe_url }}\n"
MARKETING = {
    "templates/layouts/m.mjml": LAYOUT,
    "templates/layouts/m.txt": TEXT_LAYOUT,
    "templates/leads/a.mjml": (
        "{% extends 'layouts/m.mjml' %}\n{% block content %}\n<mj-text>Hello {{ first_name }}</mj-text>\n{% endblock %}"
    ),
    "templates/leads/a.txt": (
        "{% extends 'layouts/m.txt' %}\n{% block subject %}Hi {{ first_name }}{% endblock %}\n"
        "{% block content %}\nHello {{ first_name }}\n{% endblock %}\n"
    ),
}
VALUES = {"first_name": "Ann", "our_postal_address": "1 High Street", "unsubscribe_url": "https://x.example/u/1"}


def plain(body: str, **more: str) -> dict[str, str]:
    return {"templates/a.txt": "{% block subject %}Hi{% endblock %}\n" + body, **more}


def mjml(body: str) -> dict[str, str]:
    return {**plain("Hello"), "templates/a.mjml": f"<mjml><mj-body><mj-section><mj-column>\n{body}\n" + END}


END = "</mj-column></mj-section></mj-body></mjml>"


def problems(sources: dict[str, str], name: str = "a", voice: Voice | None = None) -> list[Problem]:
    with pytest.raises(ProgramError) as caught:
        compile_template(name, sources, voice)
    return list(caught.value.problems)


def problem(sources: dict[str, str], name: str = "a") -> str:
    found = problems(sources, name)
    assert len(found) == 1, found
    return str(found[0])


def test_layouts_and_snippets_are_no_templates() -> None:
    sources = dict.fromkeys(
        ["templates/layouts/m.txt", "templates/snippets/s.txt", "templates/leads/a.txt", "templates/leads/a.mjml"], ""
    )
    assert names({**sources, "templates/notes.md": "", "b.txt": ""}) == ["b", "leads/a"]


def test_layout_and_content_become_one_mail() -> None:
    artifact = compile_template("leads/a", MARKETING)
    mail = render(artifact, VALUES)
    assert mail.subject == "Hi Ann"
    assert mail.text == "Hello Ann\n\n-- \n1 High Street\nhttps://x.example/u/1\n"
    assert "Hello Ann</div>" in mail.html
    assert '<a href="https://x.example/u/1">Stop</a> 1 High Street' in mail.html
    assert "<mj-" not in mail.html
    assert artifact.voice is Voice.MARKETING


def test_paths_may_be_relative_to_the_templates_folder() -> None:
    relative = {path.removeprefix("templates/"): text for path, text in MARKETING.items()}
    assert compile_template("leads/a", relative) == compile_template("leads/a", MARKETING)


def test_artifact_says_what_it_reads_and_what_it_is_made_of() -> None:
    artifact = compile_template("leads/a", MARKETING)
    assert artifact.variables == {"first_name", "our_postal_address", "unsubscribe_url"}
    assert artifact.optional == frozenset()
    assert artifact.uses_unsubscribe
    assert artifact.uses_postal_address
    assert artifact.parts == {"layouts/m.mjml", "layouts/m.txt", "leads/a.mjml", "leads/a.txt"}
    assert artifact.places["first_name"] == "templates/leads/a.txt:2"


def test_unsubscribe_must_stand_in_both_parts_to_count() -> None:
    for part in ("txt", "mjml"):
        sources = dict(MARKETING)
        sources[f"templates/layouts/m.{part}"] = sources[f"templates/layouts/m.{part}"].replace(
            "{{ unsubscribe_url }}", "x"
        )
        assert not compile_template("leads/a", sources).uses_unsubscribe


def test_names_with_a_default_or_a_guard_are_optional() -> None:
    body = """{{ a | default('x') }} {% if b is defined and b > 2 %}{{ b }}{% endif %}
{% if c is undefined %}none{% else %}{{ c }}{% endif %} {{ d if d is defined else e }} {{ f }}
{{ f | default(g) }} {% if not (h is defined) or h == 1 %}{{ h }}{% endif %}{% set i = f %}{{ i }}"""
    artifact = compile_template("a", plain(body))
    assert artifact.variables == set("abcdefgh")
    assert artifact.optional == set("abcd")


def test_hash_follows_what_is_sent_and_nothing_else() -> None:
    one = compile_template("leads/a", MARKETING)
    assert one.hash == compile_template("leads/a", {**MARKETING, "templates/b.txt": "other"}).hash
    for path in MARKETING:
        changed = {**MARKETING, path: MARKETING[path].replace("{{ ", "!{{ ", 1)}
        assert compile_template("leads/a", changed).hash != one.hash, path


def test_artifact_survives_json() -> None:
    artifact = compile_template("leads/a", MARKETING)
    assert Artifact.from_json(artifact.to_json()) == artifact


def test_text_only_mail_is_personal_unless_asked_otherwise() -> None:
    assert compile_template("a", plain("Hello")).voice is Voice.PERSONAL
    assert compile_template("a", plain("Hello"), Voice.MARKETING).voice is Voice.MARKETING
    assert problems(mjml("<mj-text>x</mj-text>"), voice=Voice.PERSONAL)[0].what == (
        "personal mail is written as text only"
    )


def test_jinja_stays_as_written_inside_mjml() -> None:
    body = """{% if company is defined and employees < 50 %}
<mj-text>{{ company | default("a < b") }}</mj-text>
{% endif %}
<mj-table>{% for t in technologies %}<tr><td>{{ t }}</td></tr>{% endfor %}</mj-table>
<mj-button href="{{ our_website }}/{% if company is defined %}c{% else %}d{% endif %}">Go</mj-button>"""
    artifact = compile_template("a", mjml(body))
    values = {"our_website": "https://x.example", "technologies": ("Q", "R")}
    small = render(artifact, {**values, "company": "Q & Co", "employees": 5}).html
    none = render(artifact, values).html
    assert "Q &amp; Co" in small
    assert 'href="https://x.example/c"' in small
    assert "<tr><td>Q</td></tr><tr><td>R</td></tr>" in small
    assert "Q &amp; Co" not in none
    assert 'href="https://x.example/d"' in none


def test_styles_of_plain_html_are_inlined_around_jinja() -> None:
    html = """<html><head><style>p { color: red } @media (max-width: 1px) { p { color: blue } }</style></head>
<body><!-- a note to ourselves --><table>{% for t in technologies %}<tr><td><p>{{ t }}</p></td></tr>{% endfor %}</table>
<a href="{{ our_website }}">x</a></body></html>"""
    artifact = compile_template("a", {**plain("Hello"), "templates/a.html": html})
    mail = render(artifact, {"technologies": ("Q", "R"), "our_website": "https://x.example/?a=1&b=2"}).html
    assert mail.count('<p style="color: red;">') == 2
    assert mail.index("<table") < mail.index(">Q<") < mail.index(">R<") < mail.index("</table")
    assert "@media" in mail
    assert 'href="https://x.example/?a=1&amp;b=2"' in mail
    assert "note to ourselves" not in mail


def test_comments_of_the_author_are_not_sent() -> None:
    sources = mjml("<!-- {% if company is defined %} --><mj-text>A{# secret #}</mj-text><!-- {% endif %} note -->")
    artifact = compile_template("a", sources)
    assert "A</div>" in render(artifact, {"company": "x"}).html
    assert "A</div>" not in render(artifact, {}).html
    assert "note" not in artifact.html
    assert "secret" not in artifact.html


def test_snippets_are_merged_wherever_they_stand() -> None:
    sources = plain(
        "{% if x is defined %}\n{% include 'snippets/s.txt' %}\n{% endif %}\nEnd {% include 'snippets/s.txt' %}",
        **{"templates/snippets/s.txt": "From {{ our_company }}\n"},
    )
    artifact = compile_template("a", sources)
    assert render(artifact, {"our_company": "Q"}).text == "End From Q\n"
    assert render(artifact, {"our_company": "Q", "x": 1}).text == "From Q\nEnd From Q\n"


def test_nested_layouts_give_the_innermost_block() -> None:
    sources = {
        "base.txt": "A {% block content %}base{% endblock %} {% block foot %}foot{% endblock %}",
        "mid.txt": "{% extends 'base.txt' %}{% block content %}[{% block inner %}mid{% endblock %}]{% endblock %}",
        "a.txt": "{% extends 'mid.txt' %}{% block subject %}S{% endblock %}{% block inner %}own{% endblock %}",
    }
    assert render(compile_template("a", sources), {}).text == "A [own] foot\n"


WRONG: list[tuple[dict[str, str], str]] = [
    (plain("x {{ first_name"), "templates/a.txt:2:3: this is not valid template syntax: "),
    (plain("x\n{% if a %}y"), "templates/a.txt:3:1: this is not valid template syntax: "),
    (plain("x\n  {{ a | uper }}"), "templates/a.txt:3:10: there is no filter 'uper', did you mean 'upper'?"),
    (plain("{% if a is defind %}x{% endif %}"), "templates/a.txt:2:12: there is no test 'defind', did you mean 'defin"),
    (plain("{{ account.name }}"), "templates/a.txt:2:12: values are flat: there is no .name"),
    (plain("{{ first_name.upper() }}"), "templates/a.txt:2:"),
    (plain("{% extends 'layouts/q.txt' %}"), "templates/a.txt:2:1: there is no templates/layouts/q.txt"),
    (plain("{% include 'snippets/q.txt' %}"), "templates/a.txt:2:1: there is no templates/snippets/q.txt"),
    (plain("{% include q %}"), "templates/a.txt:2:1: q is not one path in quotes"),
    (plain("{% raw %}x{% endraw %}"), "templates/a.txt:2:1: {% raw %} has no place here"),
    ({"a.txt": "Hello"}, "templates/a.txt:1:1: this mail has no subject"),
    ({"a.txt": "{% block subject %} {% endblock %}Hello"}, "templates/a.txt:1:1: this mail has no subject"),
    (plain(" "), "templates/a.txt:1:1: this mail is empty"),
    ({"a.mjml": LAYOUT}, "templates/a.mjml:1:1: this mail has no text part templates/a.txt"),
    ({"b/hello.txt": "x"}, "templates/a.txt:1:1: there is no template 'a'"),
    (mjml("<mj-txet>x</mj-txet>"), "templates/a.mjml:2:1: there is no MJML tag <mj-txet>, did you mean 'mj-text'?"),
    (mjml("<mj-text>x</mj-button>"), "templates/a.mjml:2:11: </mj-button> stands where </mj-text> is expected"),
    (mjml("<mj-text><p>x</mj-text>"), "templates/a.mjml:2:14: </mj-text> stands where </p> is expected"),
    (mjml("<p>lost</p>"), "templates/a.mjml:2:1: <p> stands in <mj-column>, where MJML drops it"),
    (mjml("<mj-text><a href={{ x }}>f</a></mj-text>"), "templates/a.mjml:2:10: a value in <a> is not in quotes"),
    (mjml("<mj-text>1 < 2</mj-text>"), "templates/a.mjml:2:12: this '<' begins no tag, write &lt;"),
    (mjml('<mj-include path="x.mjml" />'), "templates/a.mjml:2:1: <mj-include> is not used here"),
    (mjml("<mj-raw><script>x</script></mj-raw>"), "templates/a.mjml:2:9: mail cannot carry scripts"),
    (mjml("<mj-text>x"), "templates/a.mjml:3:1: </mj-column> stands where </mj-text> is expected"),
    (
        {**plain("x"), "a.html": "<style>p { color: {{ c }} }</style><p style='a'>x</p>"},
        "templates/a.html:1:19: {{ c }} cannot stand in a style sheet",
    ),
    ({**mjml("<mj-text>x</mj-text>"), "a.html": "<p>x</p>"}, "templates/a.html:1:1: there is also templates/a.mjml"),
]


@pytest.mark.parametrize(("sources", "expected"), WRONG, ids=[expected[:60] for _, expected in WRONG])
def test_mistakes_are_told_with_their_place(sources: dict[str, str], expected: str) -> None:
    assert str(problems(sources)[0]).startswith(expected), [str(each) for each in problems(sources)]


def test_mistakes_in_a_layout_are_told_in_the_layout() -> None:
    sources = {**MARKETING, "templates/layouts/m.mjml": LAYOUT.replace("our_postal_address", "our_address | postal")}
    assert problem(sources, "leads/a").startswith("templates/layouts/m.mjml:4:")


def test_mistakes_of_both_parts_are_told_together() -> None:
    sources = {**mjml("<mj-txet>x</mj-txet>"), **plain("{{ a | uper }}")}
    assert {each.file for each in problems(sources)} == {"templates/a.txt", "templates/a.mjml"}


def test_text_outside_of_blocks_is_told_not_lost() -> None:
    sources = dict(MARKETING)
    sources["templates/leads/a.txt"] += "{# fine #}\nP.S. Lost\n"
    assert problem(sources, "leads/a") == (
        "templates/leads/a.txt:7:1: this stands outside of every block and would be lost"
    )


def test_unknown_block_is_told_with_the_nearest_name() -> None:
    sources = dict(MARKETING)
    sources["templates/leads/a.txt"] = sources["templates/leads/a.txt"].replace("block content", "block contend")
    assert problem(sources, "leads/a").endswith("the layout has no block 'contend', did you mean 'content'?")


@pytest.mark.parametrize(
    "sources",
    [
        {"a.txt": "{% extends 'b.txt' %}", "b.txt": "{% extends 'a.txt' %}"},
        plain("{% include 'snippets/s.txt' %}", **{"snippets/s.txt": "{% include 'snippets/s.txt' %}"}),
        plain(
            "{% include 'snippets/0.txt' %}",
            **{f"snippets/{n}.txt": f"{{% include 'snippets/{n + 1}.txt' %}}" * 10 for n in range(9)},
            **{"snippets/9.txt": "x"},
        ),
        plain("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}"),
        plain("{% for x in y %}" * 100 + "{% endfor %}" * 100),
        plain("x" * 300_000),
    ],
    ids=["extends itself", "includes itself", "bombs by snippets", "brackets", "loops in loops", "huge"],
)
def test_bottomless_templates_are_refused(sources: dict[str, str]) -> None:
    assert problems(sources)


class _Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if tag == "a" and name == "href"]


def shipped() -> dict[str, str]:
    return {
        f"templates/{path.relative_to(SHIPPED).as_posix()}": path.read_text("utf-8")
        for path in SHIPPED.rglob("*")
        if path.suffix in (".txt", ".mjml", ".html")
    }


LEAST = {
    "our_company": "Meridian Analytics",
    "our_postal_address": "1 High Street\nLondon",
    "our_website": "https://meridian.example",
    "unsubscribe_url": "https://mail.meridian.example/u/abc",
    "rep_name": "Dana Reed",
}


@pytest.mark.parametrize("name", names(shipped()))
def test_shipped_mail_needs_little_to_be_known(name: str) -> None:
    artifact = compile_template(name, shipped())
    mail = render(artifact, LEAST)
    assert "Meridian Analytics, 1 High Street, London" in mail.text
    assert len(mail.subject) < 70
    assert artifact.uses_postal_address
    assert artifact.voice is (Voice.MARKETING if name.startswith("leads/") else Voice.PERSONAL)


@pytest.mark.parametrize("name", [name for name in names(shipped()) if name.startswith("leads/")])
def test_shipped_marketing_mail_asks_for_one_thing_and_lets_go(name: str) -> None:
    mail = render(compile_template(name, shipped()), LEAST)
    asked, stop = _Links(mail.html).found
    assert asked.startswith("https://meridian.example/")
    assert stop == LEAST["unsubscribe_url"]
    assert asked in mail.text
    assert stop in mail.text


@pytest.mark.parametrize("name", [name for name in names(shipped()) if name.startswith("prospects/")])
def test_shipped_personal_mail_is_short_and_asks_one_question(name: str) -> None:
    artifact = compile_template(name, shipped())
    for more in ({}, {"rep_calendar_link": "https://cal.example/dana", "company": "Q", "rep_title": "AE"}):
        mail = render(artifact, {**LEAST, **more})
        assert mail.text.count("?") == 1
        assert len(mail.text.split()) < 140
        assert "unsubscribe" not in mail.text.lower()


@pytest.mark.parametrize("name", [name for name in names(shipped()) if name.startswith("prospects/")])
def test_shipped_personal_mail_carries_the_opt_out_sentence_when_it_is_the_first(name: str) -> None:
    artifact = compile_template(name, shipped())
    assert "reply and say so" in render(artifact, {**LEAST, "first_of_run": True}).text
    assert "reply and say so" not in render(artifact, {**LEAST, "first_of_run": False}).text
    assert "reply and say so" in render(artifact, LEAST).text


@pytest.mark.parametrize("name", names(shipped()))
def test_shipped_mail_names_the_company_once_beside_its_address(name: str) -> None:
    values = {**LEAST, "our_postal_address": "Meridian Analytics Ltd, 1 High Street, London"}
    text = render(compile_template(name, shipped()), values).text
    assert "\nMeridian Analytics Ltd, 1 High Street, London\n" in text


@pytest.mark.parametrize("name", [name for name in names(shipped()) if name.startswith("leads/")])
def test_lines_of_shipped_mail_are_short_enough_to_go_as_they_are(name: str) -> None:
    mail = render(
        compile_template(name, shipped()), {**LEAST, "unsubscribe_url": "https://mail.example/u/" + "A" * 140}
    )
    assert max(len(line.encode()) for line in mail.html.splitlines()) <= 998
