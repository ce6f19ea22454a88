"""A small program for tests of the shells: one lead sequence, one prospect sequence, no windows in the way."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent

HOUSE = """\
lifecycle = "small"

[company]
name = "Northwind Analytics"
postal_address = "1 Harbour Street, Bristol BS1 4ST"
time_zone = "UTC"
website = "https://www.northwind.example"

[senders.newsletter]
voice = "marketing"
address = "newsletter@northwind.example"
display_name = "Northwind Analytics"
provider = "outbox"
"""

FIELDS = """\
kind: fields
fields:
  plan: {type: choice, label: Plan, choices: [free, pro]}
"""

LIFECYCLE = """\
kind: lifecycle
name: small
start: lead
stages:
  - {name: lead, label: Lead, role: nurture, voice: marketing, owner: marketing}
  - {name: prospect, label: Prospect, role: engage, voice: personal, owner: sales}
  - {name: customer, label: Customer, role: customer, voice: silent, owner: sales}
  - {name: lost, label: Lost, role: out, voice: silent, owner: marketing}
moves:
  - {from: lead, to: prospect, when: "level == 'MQL'", reason: qualified}
  - from: prospect
    to: lead
    when: "idle('20 business days') and active_sequences == 0"
    reason: went quiet
    cool_off: 30 days
  - {from: prospect, to: customer, when: "did('purchased')", reason: bought}
  - {from: [lead, prospect, customer], to: lost, when: "did('complained')", reason: complained}
scoring:
  fit:
    rules:
      - {when: "account.employees >= 50", points: 50, label: big enough}
    grades: {A: 40, B: 20, C: 10}
  engagement:
    half_life: 30 days
    categories:
      downloads: {cap: 60, events: {content_downloaded: 20}}
      website: {cap: 30, events: {page_viewed: 2, demo_requested: 30}}
levels: {MQL: "engagement >= 40"}
"""

NURTURE = """\
kind: sequence
name: nurture
voice: marketing
audience: {role: nurture}
enroll_when: [{stage_entered: {role: nurture}}, {event: created}, manual]
reentry: {after: 30 days}
sender: newsletter
window: always
steps:
  - {id: hello, email: leads/hello}
  - {id: pause, wait: 3 days}
  - {id: more, email: leads/more, on_refused: advance}
"""

INTRODUCTION = """\
kind: sequence
name: introduction
voice: personal
audience: {role: engage}
enroll_when: [{stage_entered: {role: engage}}]
sender: owner
window: always
steps:
  - {id: first, email: prospects/first, delay: 2 days, draft_ahead: 1 day}
  - {id: second, email: prospects/second, delay: 3 days, thread: true, on_rejected: advance}
"""

LEAD_TEXT = """\
{{% extends 'layouts/marketing.txt' %}}
{{% block subject %}}{subject}{{% endblock %}}
{{% block content %}}
Hello {{{{ first_name | default('there') }}}}, {body}
{{% endblock %}}
"""

LEAD_MJML = """\
{% extends 'layouts/marketing.mjml' %}
{% block content %}
<mj-text>Hello {{ first_name | default('there') }}, read on.</mj-text>
{% endblock %}
"""

PROSPECT_TEXT = """\
{{% extends 'layouts/personal.txt' %}}
{{% block subject %}}{subject}{{% endblock %}}
{{% block content %}}
Hello {{{{ first_name | default('there') }}}}, {body}
{{% endblock %}}
"""


def small() -> dict[str, str]:
    """Return the files of the small program; it uses the shipped layouts."""
    shared = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for folder in ("layouts", "snippets")
        for path in sorted((ROOT / "templates" / folder).iterdir())
    }
    return shared | {
        "nurture.toml": HOUSE,
        "fields.yaml": FIELDS,
        "sequences/lifecycle.yaml": LIFECYCLE,
        "sequences/nurture.yaml": NURTURE,
        "sequences/introduction.yaml": INTRODUCTION,
        "templates/leads/hello.txt": LEAD_TEXT.format(subject="Hello & welcome", body="welcome."),
        "templates/leads/hello.mjml": LEAD_MJML,
        "templates/leads/more.txt": LEAD_TEXT.format(subject="More for you", body="here is more."),
        "templates/leads/more.mjml": LEAD_MJML,
        "templates/prospects/first.txt": PROSPECT_TEXT.format(subject="A question", body="do you have a minute?"),
        "templates/prospects/second.txt": PROSPECT_TEXT.format(subject="Again", body="did you see my mail?"),
    }
