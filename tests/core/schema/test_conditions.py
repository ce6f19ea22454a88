"""Conditions as text and as trees, and what is said about wrong ones."""

from __future__ import annotations

from typing import Any as Anything

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op
from nurture.core.schema.conditions import parse_condition
from nurture.core.schema.flaws import Flaw, Flaws
from nurture.core.schema.vocabulary import Vocabulary
from nurture.core.spans import Span, Unit
from nurture.core.words import FieldType

KNOWN = Vocabulary(
    fields={
        "stage": FieldType.TEXT,
        "fit": FieldType.TEXT,
        "title": FieldType.TEXT,
        "engagement": FieldType.NUMBER,
        "open_handoff": FieldType.BOOLEAN,
        "account.industry": FieldType.TEXT,
        "fields.plan": FieldType.CHOICE,
        "fields.since": FieldType.DATE,
    },
    values={"stage": ["lead", "prospect"], "fit": ["A", "B", "C", "D"], "fields.plan": ["free", "pro"]},
    events=["form_submitted", "replied"],
)
DAYS_30 = Span(30, Unit.DAYS)
LEAD, OPEN = Compare("stage", Op.EQ, "lead"), Compare("open_handoff", Op.EQ, True)
QUIET = Idle(Span(20, Unit.BUSINESS_DAYS))

READ: list[tuple[object, Condition]] = [
    ("stage == 'lead'", Compare("stage", Op.EQ, "lead")),
    ("stage == 'lead' and fit in ('A', 'B')", All((LEAD, Compare("fit", Op.IN, ("A", "B"))))),
    ("fit not in ['A']", Compare("fit", Op.NOT_IN, ("A",))),
    ("engagement >= 20 or not idle('20 business days')", Any((Compare("engagement", Op.GE, 20), Not(QUIET)))),
    ("did('form_submitted', within='30 days', at_least=2)", Did("form_submitted", DAYS_30, 2)),
    ("10 <= engagement < 20", All((Compare("engagement", Op.GE, 10), Compare("engagement", Op.LT, 20)))),
    ("engagement > -1.5", Compare("engagement", Op.GT, -1.5)),
    ("known(account.industry)", Compare("account.industry", Op.KNOWN)),
    ("unknown(title)", Compare("title", Op.UNKNOWN)),
    ("contains(title, 'chief')", Compare("title", Op.CONTAINS, "chief")),
    ("open_handoff", Compare("open_handoff", Op.EQ, True)),
    ("open_handoff == false", Compare("open_handoff", Op.EQ, False)),
    ("fields.plan != 'pro'", Compare("fields.plan", Op.NE, "pro")),
    ("fields.since >= '2026-03-01'", Compare("fields.since", Op.GE, "2026-03-01")),
    (" stage ==\n  'lead' ", Compare("stage", Op.EQ, "lead")),
    ({"field": "stage", "value": "lead"}, Compare("stage", Op.EQ, "lead")),
    ({"field": "fit", "op": "in", "value": ["A"]}, Compare("fit", Op.IN, ("A",))),
    ({"field": "title", "op": "known"}, Compare("title", Op.KNOWN)),
    ({"all": ["open_handoff", {"not": {"idle": "20 business days"}}]}, All((OPEN, Not(QUIET)))),
    ({"any": [{"known": "title"}]}, Any((Compare("title", Op.KNOWN),))),
    ({"did": "replied"}, Did("replied")),
    ({"did": {"event": "replied", "within": "30 days", "at_least": 3}}, Did("replied", DAYS_30, 3)),
    ({"idle": {"for": "20 business days"}}, QUIET),
]  # fmt: skip


@pytest.mark.parametrize(("source", "condition"), READ)
def test_conditions_are_read(source: object, condition: Condition) -> None:
    assert parse_condition(source, KNOWN) == condition


WRONG: list[tuple[str, int, str, str | None]] = [
    ("stagee == 'lead'", 0, "unknown field `stagee`", "did you mean 'stage'?"),
    ("fit == 'A' and enagement > 3", 15, "unknown field `enagement`", "did you mean 'engagement'?"),
    ("industry == 'x'", 0, "unknown field `industry`", "did you mean 'account.industry'?"),
    ("plan == 'pro'", 0, "unknown field `plan`", "did you mean 'fields.plan'?"),
    ("stage == 'leed'", 9, "`stage` is never 'leed'", "did you mean 'lead'?"),
    ("fields.plan in ('pro', 'fre')", 15, "`fields.plan` is never 'fre'", "did you mean 'free'?"),
    ("engagement > '3'", 13, "`engagement` is compared with '3'", "it holds a number"),
    ("stage > 'lead'", 8, "`stage` cannot be ordered with `>`", "only numbers and dates can"),
    ("fields.since > 'soon'", 15, "`fields.since` is compared with 'soon'", "it holds a date such as '2026-03-01'"),
    ("stage = 'lead'", 6, "'=' cannot stand in a condition", "compare with `==`"),
    ("fit == 'A' && stage == 'lead'", 11, "'&&' cannot stand in a condition", "write `and`"),
    ("fit == 'A' AND stage == 'lead'", 11, "'AND' cannot stand in a condition", "write it in small letters"),
    ("stage == lead", 9, "`lead` stands where a value belongs", "text needs quotes: 'lead'"),
    ("stage == None", 9, "a field cannot be compared with nothing", "ask known(field) or unknown(field)"),
    ("fit in 'A'", 7, "`in` needs a list", "write for example: fit in ('A', 'B')"),
    ("fit == ('A', 'B')", 7, "`==` compares with one value, not with a list", "use `in`"),
    ("fit", 0, "`fit` alone is no condition", "compare it, or ask known(fit)"),
    ("did('form_submited')", 4, "unknown event `form_submited`", "did you mean 'form_submitted'?"),
    ("did('replied', witin='3 days')", 15, "did(…) has no `witin`", "did you mean 'within'?"),
    ("did('replied', at_least=0)", 24, "expected a whole number from 1", None),
    ("idle('3 fortnights')", 5, "'3 fortnights' is no length of time", None),
    ("happened('x')", 0, "unknown question `happened(…)`", "there is contains, did, idle, in_segment, known, unknown"),
    ("engagement + 1 > 2", 0, "`engagement + 1` is no field", "a comparison begins with the name of a field"),
    ("(fit == 'A'", 0, "this condition cannot be read from here on", None),
    ("", 0, "this condition is empty", None),
    ("fit == '\\x41'", 8, "a condition has no backslashes", None),
    ("üü == 1", 0, "unknown field `üü`", "own fields are written fields.name and stand in fields.yaml"),
    ("'ü' == title and fit == 'E'", 24, "`fit` is never 'E'", "there is A, B, C, D"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "offset", "what", "hint"), WRONG)
def test_a_wrong_condition_is_pointed_at(text: str, offset: int, what: str, hint: str | None) -> None:
    with pytest.raises(Flaws) as error:
        parse_condition(text, KNOWN)
    flaw = error.value.flaws[0]
    assert (flaw.offset, flaw.what[: len(what)]) == (offset, what)
    assert hint is None or flaw.hint == hint


def test_all_mistakes_of_a_condition_are_told() -> None:
    with pytest.raises(Flaws) as error:
        parse_condition("stage == 'x' and foo == 1 and did('bar')", KNOWN)
    assert len(error.value.flaws) == 3


@pytest.mark.parametrize(
    ("tree", "path", "what"),
    [
        ({"all": ["fit == 'A'", {"field": "stagee", "value": 3}]}, ("all", 1, "field"), "unknown field `stagee`"),
        ({"any": [{"not": {"field": "fit", "value": "E"}}]}, ("any", 0, "not", "value"), "`fit` is never 'E'"),
        ({"al": ["fit == 'A'"]}, ("al",), "unknown key `al` in a condition"),
        ({"all": []}, ("all",), "expected a list of conditions"),
        ({"all": ["open_handoff"], "any": ["open_handoff"]}, (), "'all' and 'any' stand beside each other"),
        ({"field": "fit", "opp": "in"}, ("opp",), "unknown key `opp` in a comparison"),
        ({"field": "fit", "op": "inn", "value": ["A"]}, ("op",), "unknown operator 'inn'"),
        ({"did": {"event": "replied", "wthin": "3 days"}}, ("did", "wthin"), "unknown key `wthin`"),
        ({"did": {"event": "repled"}}, ("did", "event"), "unknown event `repled`"),
        ({"did": {"event": "replied", "at_least": True}}, ("did", "at_least"), "expected a whole number from 1"),
        ({"idle": 3}, ("idle",), "'3' is no length of time"),
        ({"known": "titel"}, ("known",), "unknown field `titel`"),
        (5, (), "expected a condition, not 5"),
    ],
)
def test_a_wrong_tree_is_pointed_at(tree: object, path: tuple[str | int, ...], what: str) -> None:
    with pytest.raises(Flaws) as error:
        parse_condition(tree, KNOWN)
    assert (error.value.flaws[0].path, error.value.flaws[0].what[: len(what)]) == (path, what)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "stage.__class__ == 'x'",
        "f'{stage}' == 'x'",
        "(yield)",
        "await stage",
        "stage == open('/etc/passwd')",
        "fit == 'A' if stage == 'lead' else fit == 'B'",
        "not " * 500 + "open_handoff",
        "(" * 300,
        "9" * 1_900 + " > engagement",
        "engagement < 1e999",
        "x" * 2_001,
    ],
)
def test_nothing_but_conditions_is_let_in(text: str) -> None:
    with pytest.raises(Flaws):
        parse_condition(text, KNOWN)


@given(st.text(alphabet="stagefi dn()'\"=<>!,.0159_[]{}~-+*/%&|^\\\n\x00ü", max_size=60))
def test_any_text_is_a_condition_or_a_flaw_inside_it(text: str) -> None:
    assert all(0 <= flaw.offset <= max(len(text) - 1, 0) for flaw in _flaws(text))


_TREES: st.SearchStrategy[Anything] = st.recursive(
    st.sampled_from(["open_handoff", {"known": "title"}, {"did": "replied"}, {"idle": "3 days"}, 3, None, {"all": 1}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"field": st.sampled_from(["fit", "no"]), "value": inner}),
    ),
    max_leaves=8,
)


@given(_TREES)
def test_any_tree_is_a_condition_or_flaws_at_places_that_are_there(tree: Anything) -> None:
    for flaw in _flaws(tree):
        found = tree
        for part in flaw.path:
            found = found[part]


def _flaws(source: object) -> tuple[Flaw, ...]:
    try:
        parse_condition(source, KNOWN)
    except Flaws as error:
        return error.flaws
    return ()
