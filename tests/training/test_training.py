"""Learning points: measures that are right, levels that conditions can ask for, proposals that keep the rest.

All that loads scikit-learn stands in this module, so that one worker of the suite loads it.
"""

from __future__ import annotations

import csv
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from nurture.core.conditions import Condition
from nurture.core.facts import reader
from nurture.core.fields import FieldSpec
from nurture.core.model import Contact, ContactId, Event, Situation, Value
from nurture.core.program import Program
from nurture.core.ranking import ranked
from nurture.core.schema import parse_condition, read_lifecycle
from nurture.core.words import FieldType
from nurture.db import instance
from nurture.db.session import Database
from nurture.errors import UsageError
from nurture.program.lifecycle import load_lifecycle
from nurture.program.load import load
from nurture.training.features import Source, condition, features
from nurture.training.history import Example, draw
from nurture.training.measure import auc, calibration
from nurture.training.proposal import propose
from nurture.training.rules import likelihood
from nurture.training.train import Split, Trained, sources_of, train
from tests.cli.conftest import Shell
from tests.leads import EXAMPLE, NOW, Lead, csv_path, read_leads

BASE = """\
# Ours.
kind: lifecycle
name: base
start: lead
stages:
  - {name: lead, role: nurture, voice: marketing}
scoring:
  fit:
    rules: [{when: known(title), points: 5}]
    disqualify: [{when: "country == 'XX'", label: not there}]
  engagement: {categories: {web: {cap: 30, half_life: 14 days, events: {clicked: 5}}}}

# Best first.
levels: {MQL: engagement >= 20}
"""

LIFECYCLE = read_lifecycle(BASE, "base.yaml")
PROGRAM = Program("p", LIFECYCLE, {}, {"size": FieldSpec("size", FieldType.NUMBER, "Size")})
OUTCOME = parse_condition("did('purchased')")

TOWNS = ("Bern", "O'Fallon", "Zürich", "a \"b\" 'c'")


def person(number: int) -> Mapping[str, Value]:
    """Return somebody: a town, a size, and for every third a click."""
    values: dict[str, Value] = {"country": TOWNS[number % 4], "fields.size": number % 50}
    if number % 7 == 0:
        values["fields.size"] = None
    return {**values, **({"clicked": True} if number % 3 == 0 else {})}


def history(count: int = 600) -> list[Example]:
    """Return people of whom it came true where size is 25 or more, or a click and the town Bern came together."""

    def bought(values: Mapping[str, Value], number: int) -> bool:
        size = values["fields.size"]
        likely = (isinstance(size, int) and size >= 25) + ("clicked" in values)
        return draw("luck", str(number)) < (0.05, 0.5, 0.9)[likely]

    people = [(number, person(number)) for number in range(count)]
    return [
        Example(values, bought(values, number), 0, draw("s", str(number)), NOW + timedelta(hours=number))
        for number, values in people
    ]


def learned(examples: list[Example], split: Split = Split.ID) -> Trained:
    """Train on people."""
    return train(examples, sources_of(PROGRAM, OUTCOME, ()), 0.3, split)


@pytest.fixture(scope="module")
def trained() -> Trained:
    """What the history teaches."""
    return learned(history())


# --- measures ---------------------------------------------------------------------------------------------------------


def test_auc_counts_the_pairs_that_stand_in_the_right_order() -> None:
    assert auc([3, 2, 1], [True, True, False]).value == 1
    assert auc([1, 2, 3], [True, True, False]).value == 0
    assert auc([5, 5, 5], [True, False, True]).value == 0.5
    assert auc([4, 3, 3, 1], [True, False, True, False]).value == 3.5 / 4
    nothing = auc([1, 2], [True, True])
    assert (nothing.low, nothing.high) == (0, 1)


def test_the_interval_of_an_auc_narrows_with_the_people() -> None:
    few, many = auc([1, 2, 3, 4] * 5, [False, True] * 10), auc([1, 2, 3, 4] * 500, [False, True] * 1000)
    assert few.low < few.value < few.high
    assert many.high - many.low == pytest.approx((few.high - few.low) / 10, rel=0.1)


def test_people_of_the_same_points_are_in_one_group() -> None:
    groups = calibration([0] * 50 + [1] * 50, [0.5] * 100, [False] * 50 + [True] * 50)
    assert [(group.low, group.high, group.people, group.came_true) for group in groups] == [
        (0, 0, 50, 0),
        (1, 1, 50, 1),
    ]


# --- levels -----------------------------------------------------------------------------------------------------------


def test_a_level_is_what_its_condition_says() -> None:
    sources = [Source("country", "Country", FieldType.TEXT), Source("fields.size", "Size", FieldType.NUMBER)]
    rows = [person(number) for number in range(600)]
    found = list(features([*sources, Source("clicked", "Clicked")], rows))
    assert [feature.source.name for feature in found] == ["country", "fields.size", "clicked"]
    for feature in found:
        conditions = [parse_condition(condition(feature, [level])) for level in range(feature.size)]
        for row in rows[:60]:
            level = feature.code(row.get(feature.source.name))
            assert [holds(each, row) for each in conditions] == [place == level for place in range(feature.size)]


def test_what_is_unknown_rare_or_cannot_be_written_has_no_level() -> None:
    rows: list[Mapping[str, Value]] = [{"country": "DE"}] * 400 + [{"country": "FR"}] * 300 + [{}] * 300
    rows += [{"country": TOWNS[3]}] * 20 + [{"country": "XK"}] * 3
    (country,) = features([Source("country", "Country", FieldType.TEXT)], rows)
    assert country.values == ("DE", "FR")
    assert [country.code(word) for word in (None, "XK", TOWNS[3])] == [None] * 3
    assert list(features([Source("title", "Title", FieldType.TEXT)], rows)) == []


# --- training ---------------------------------------------------------------------------------------------------------


def test_points_are_learned_and_measured_on_others(trained: Trained) -> None:
    assert trained.people == 600
    assert 150 < trained.auc.people < 210
    assert trained.auc.low > 0.7
    assert trained.today.value == 0.5
    points = {rule.when: rule.points for rule in trained.rules}
    assert points["did('clicked')"] > 10
    assert (
        worth(points, {"country": "Bern", "fields.size": 40})
        > worth(points, {"country": "Bern", "fields.size": 5}) + 10
    )
    assert 0 < likelihood(trained.intercept, 0) < likelihood(trained.intercept, 10) < 1
    assert learned(history()) == trained, "the same history gives the same points"


def test_a_split_by_time_measures_on_the_latest() -> None:
    examples = history()
    latest = [
        replace(each, came_true=not each.came_true) if each.since >= NOW + 420 * HOUR else each for each in examples
    ]
    measured = learned(latest, Split.TIME).auc
    assert measured.value < 0.3
    assert measured.people == 180


def test_what_knows_the_outcome_is_suspected_and_can_be_left_out() -> None:
    leak = [replace(each, values={**each.values, "title": "won" if each.came_true else "lost"}) for each in history()]
    assert [each.name for each in learned(leak).suspicions] == ["title"]
    names = {source.name for source in sources_of(PROGRAM, OUTCOME, ("title", "size"))}
    assert not names & {"title", "fields.size", "purchased"}
    assert "clicked" in names
    with pytest.raises(UsageError, match="did you mean 'title'"):
        sources_of(PROGRAM, OUTCOME, ("titel",))


def test_too_little_history_is_told() -> None:
    with pytest.raises(UsageError, match="too little to learn from"):
        learned(history(80))


# --- the proposal -----------------------------------------------------------------------------------------------------


def test_a_proposal_is_the_same_lifecycle_with_other_scoring(trained: Trained) -> None:
    scoring = {"fit": {"disqualify": [{"when": "country == 'XX'", "label": "not there"}]}}
    text = propose(BASE, scoring, LIFECYCLE, "better", trained.rules, trained.grades, ["Why."])
    read = read_lifecycle(text, "better.yaml")
    assert text.startswith("# Ours.\nkind: lifecycle\nname: better\nstart: lead\n")
    assert "\n\n# Best first.\nlevels: {MQL: engagement >= 20}\n" in text
    assert read.stages == LIFECYCLE.stages
    assert [rule.label for rule in read.fit.disqualifiers] == ["not there"]
    (clicks,) = read.categories
    assert clicks.half_life == timedelta(days=14)
    shown = {rule.when: rule.points for rule in trained.rules}
    assert clicks.weights == {"clicked": shown["did('clicked')"] * 100}
    for number in range(40):
        row = person(number)
        assert ranked(situation(row), read, NOW)[1] == worth(shown, row) * 100


def test_where_nothing_is_learned_of_events_they_count_as_before_but_not_in_the_rank(
    trained: Trained,
) -> None:
    facts = [rule for rule in trained.rules if rule.kind is None]
    scoring = {"engagement": {"categories": {"web": {"cap": 30, "events": {"clicked": 5}}}}}
    read = read_lifecycle(propose(BASE, scoring, LIFECYCLE, "facts", facts, (), []), "facts.yaml")
    assert read.categories[0].weights == {"clicked": 500}
    assert (read.rank.fit, read.rank.engagement) == (1, 0)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_proposes_a_file_that_ranks_as_it_says_and_applies_nothing(shell: Shell) -> None:
    out = shell.folder / "sequences" / "learned.yaml"
    said = shell("score", "train", "--outcome", "did('purchased')", "--out", out, "--json").json
    about = {rule["when"] for rule in said["rules"]}
    assert "title == 'Chief'" in about
    assert not any("meeting_held" in when for when in about), "what happened after the outcome is not looked at"
    assert said["suspicious"] == {}
    assert any("level 'SQL': `engagement` never reaches 45" in what for what in said["to_do"]), "new points, new levels"

    shell("score", "export", "--csv", shell.folder / "o.csv", "--lifecycle", out, "--system", "email")
    with (shell.folder / "o.csv").open(newline="") as lines:
        rank = {row["external_id"]: float(row["rank_score"]) for row in csv.DictReader(lines)}
    aside = [key for key in range(PEOPLE) if draw("nurture", address(key)) < 0.3]
    assert said["auc"]["contacts"] == len(aside)
    measured = auc([rank[address(key)] for key in aside], [buys(key) for key in aside])
    assert measured.value == pytest.approx(said["auc"]["value"], abs=0.02)

    again = shell("score", "train", "--outcome", "did('purchased')", "--out", out, code=2)
    assert "--force" in again.err
    assert "Learned from" in shell("score", "train", "--outcome", "did('purchased')").out


def test_what_cannot_be_asked_is_told_with_the_next_step(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean" in shell("score", "train", "--outcome", "did('purchase')", code=2).err
    assert "too little to learn from" in shell("score", "train", "--outcome", "country == 'DE'", code=2).err
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "pip install 'nurture[train]'" in shell("score", "train", "--outcome", "did('purchased')", code=2).err


# --- the shipped example ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def school() -> Program:
    """The program of examples/education-leads."""
    return load(EXAMPLE).program


@pytest.fixture(scope="module")
def leads(school: Program) -> list[Lead]:
    """Every real lead."""
    return read_leads(csv_path(), school)


def rank_of(leads: list[Lead], file: str, program: Program) -> list[float]:
    """Return what `nurture score export` calls rank_score, by a lifecycle of the example."""
    rules = load_lifecycle(EXAMPLE / "sequences" / file, program)
    return [ranked(lead.situation, rules, NOW)[1] for lead in leads]


def test_weights_that_were_written_by_hand_find_four_of_five(leads: list[Lead], school: Program) -> None:
    ranks = rank_of(leads, "by-hand.yaml", school)
    assert plain_auc(ranks, leads) >= 0.80


def test_the_shipped_points_rank_leads_that_they_were_not_learned_from(leads: list[Lead], school: Program) -> None:
    aside = [lead for lead in leads if draw("nurture", str(lead.situation.contact.email)) < 0.3]
    assert 1_800 < len(aside) < 1_900
    assert plain_auc(rank_of(aside, "trained.yaml", school), aside) >= 0.885


def test_points_that_are_learned_now_rank_leads_that_they_were_not_learned_from(
    leads: list[Lead], school: Program
) -> None:
    outcome = parse_condition("fields.converted == true")
    sources = sources_of(school, outcome, ("opened", "clicked", "called", "form_submitted", "page_viewed"))
    read = [(source.name, reader(source.name)) for source in sources if source.type is not None]
    examples = [
        Example(
            {name: value(lead.situation, school.lifecycle) for name, value in read},
            lead.converted,
            0,
            draw("another seed", lead.external_id),
            NOW,
        )
        for lead in leads
    ]
    trained = train(examples, sources, 0.3, Split.ID)
    assert trained.auc.value >= 0.885
    assert trained.suspicions == ()
    assert all(abs(group.predicted - group.came_true) < 0.15 for group in trained.calibration)


def test_the_example_is_in_order_and_reads_nothing_that_knows_the_outcome(school: Program) -> None:
    assert school.lifecycle.name == "trained"
    mapping = (EXAMPLE / "mapping.yaml").read_text("utf-8")
    told_later = ("Tags", "Lead Quality", "Lead Profile", "Asymmetrique", "Converted")
    assert not [column for column in told_later if column in mapping]


# --- people -----------------------------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)
PEOPLE = 320


@pytest.fixture
def shell(nurture: Shell) -> Shell:
    """A shell in a rehearsal with people, some of whom bought, and met us after that."""
    database = Database(f"sqlite:///{nurture.folder / 'nurture.db'}")
    with database.write() as connection:
        instance.make_rehearsal(connection, NOW)
    database.dispose()
    rows = [f"{address(key)},{title(key)}" for key in range(PEOPLE)]
    nurture("contacts", "import", nurture.file("people.csv", "\n".join(["Email,Title", *rows])))
    facts = [f"{address(key)},content_downloaded,2026-01-05" for key in range(0, PEOPLE, 3)]
    for key in filter(buys, range(PEOPLE)):
        facts += [f"{address(key)},purchased,2026-02-02", f"{address(key)},meeting_held,2026-02-09"]
    nurture("events", "import", nurture.file("facts.csv", "\n".join(["email,kind,at", *facts])))
    return nurture


def address(key: int) -> str:
    return f"p{key}@people.example"


def title(key: int) -> str:
    return ("Chief", "Clerk", "")[key % 3]


def buys(key: int) -> bool:
    """Return whether somebody buys: chiefs more often than others."""
    return draw("buys", str(key)) < (0.8 if title(key) == "Chief" else 0.25)


def situation(row: Mapping[str, Value]) -> Situation:
    """Return somebody as the core sees them now."""
    own = {name.removeprefix("fields."): value for name, value in row.items() if name.startswith("fields.")}
    contact = Contact(ContactId(1), "lead", NOW, country=str(row["country"]), fields=own)
    return Situation(contact, (Event("clicked", NOW, "t", "1", ContactId(1)),) if row.get("clicked") else ())


def holds(condition: Condition, row: Mapping[str, Value]) -> bool:
    """Return whether a condition holds for a row."""
    return condition.test(situation(row), LIFECYCLE, NOW)


def worth(points: Mapping[str, int], row: Mapping[str, Value]) -> int:
    """Return the sum of the points whose condition holds for a row."""
    return sum(own for when, own in points.items() if holds(parse_condition(when), row))


def plain_auc(ranks: list[float], leads: list[Lead]) -> float:
    """Return the AUC by its definition: the share of pairs in the right order, a tie half."""
    bought = sorted(rank for rank, lead in zip(ranks, leads, strict=True) if lead.converted)
    others = sorted(rank for rank, lead in zip(ranks, leads, strict=True) if not lead.converted)
    pairs = sum(bisect_left(others, rank) + bisect_right(others, rank) for rank in bought)
    return pairs / (2 * len(bought) * len(others))
