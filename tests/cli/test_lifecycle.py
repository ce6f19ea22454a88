"""`nurture lifecycle`, `plan` and `qualify`: what a definition says and would change, what is known of somebody."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

from tests.cli.conftest import Shell


def test_the_packs_are_listed_and_shown_without_a_working_folder(bare: Shell) -> None:
    names = [each["name"] for each in bare("lifecycle", "list", "--json").json]
    assert names == ["bant", "champ", "icp-intent", "interest-first", "scored", "two-way"]
    out = bare("lifecycle", "show", "two-way").out
    assert "● Prospect [prospect]  engage · personal voice · owned by sales" in out
    assert "answered us" in out
    assert "there is no lifecycle 'three-way'" in bare("lifecycle", "show", "three-way", code=1).err


def test_the_folders_own_lifecycle_is_shown_and_drawn(nurture: Shell) -> None:
    told = nurture("lifecycle", "show", "--json").json
    assert (told["name"], told["start"]) == ("scored", "lead")
    file = nurture.folder / "own.svg"
    assert "is drawn in" in nurture("lifecycle", "show", "--svg", file).out
    title = ElementTree.fromstring(file.read_text("utf-8")).find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text == "scored: stages and moves"


def test_comparing_says_who_differs_and_by_which_line_of_which_file(office: Shell) -> None:
    out = office.folder / "differences.csv"
    told = office("lifecycle", "compare", "live", "two-way", "--csv", out, "--json").json
    assert (told["contacts"], told["first"]["name"], told["second"]["name"]) == (3, "scored", "two-way")
    with out.open(encoding="utf-8") as file:
        (row,) = list(csv.DictReader(file))
    assert (row["email"], row["first"], row["second"]) == ("ann@acme.example", "prospect (engage)", "lead (nurture)")
    assert row["rule"].startswith("sequences/lifecycle.yaml:")
    shown = office("lifecycle", "compare", "live", "two-way", "--outcome", "did('demo_requested')").out
    assert "A: prospect (engage)" in shown
    wrong = office("lifecycle", "compare", "live", "two-way", "--outcome", "did('demo_request')", code=2).err
    assert "did you mean 'demo_requested'?" in wrong


def test_a_plan_says_whose_level_and_stage_would_change_and_changes_nothing(office: Shell) -> None:
    path = office.folder / "sequences/lifecycle.yaml"
    text = path.read_text("utf-8")
    assert "Nothing would change" in office("plan").out
    path.write_text(text.replace("SQL: fit in ('A', 'B') and engagement >= 45", "SQL: fit == 'D'"), "utf-8")
    told = office("plan", "--json").json
    assert told["changed"] == ["sequences/lifecycle.yaml"]
    assert told["back_test"]["contacts"] == 3
    assert {"from": None, "to": "SQL", "people": 1} in told["back_test"]["levels"]
    out = office("apply").out
    assert "change level" in out
    assert "3 contacts are scored anew" in out
    office("run", "--once")
    assert office("score", "cy@tiny.example", "--json").json["level"] == "SQL"


def test_slots_are_set_shown_taken_back_and_learned_in_tasks(bare: Shell) -> None:
    bare("init", bare.folder, "--definitions", "bant")
    bare("apply")
    bare("reps", "add", "--name", "Ada Lovelace", "--email", "ada@example.com")
    people = bare.file("people.csv", "Email,Company\nann@acme.example,Acme\n")
    bare("contacts", "import", people)
    words = ("qualify", "set", "ann@acme.example", "budget=Approved", "need=reports", "--evidence", "call notes")
    assert "2 of 4 slots are filled." in bare(*words).out
    assert "never holds 'much'" in bare("qualify", "set", "ann@acme.example", "budget=much", code=2).err
    moved = bare("qualify", "set", "ann@acme.example", "timeline=now", "--confidence", "0.6", "--json").json
    assert moved["moved"] == [{"from": "lead", "to": "prospect"}]
    shown = bare("qualify", "show", "ann@acme.example").out
    assert "call notes" in shown
    assert "60%" in shown
    assert "2 of 4" in bare("qualify", "clear", "ann@acme.example", "timeline").out
    bare("events", "record", "ann@acme.example", "replied")
    task = next(row for row in bare("tasks", "list", "--json").json if row["kind"] == "reply")
    bare("tasks", "done", str(task["id"]), "--rep", "ada@example.com", "--set", "authority=decides")
    slots = {line["slot"]: line for line in bare("qualify", "show", "ann@acme.example", "--json").json["slots"]}
    assert (slots["authority"]["value"], slots["timeline"]["value"]) == ("decides", None)
    receipt = bare("score", "ann@acme.example", "--json").json
    assert [line["slot"] for line in receipt["slots"] if line["counts"]] == ["budget", "authority", "need"]


def test_a_move_by_hand_needs_a_reason_and_a_way(office: Shell) -> None:
    said = office("contacts", "move", "bob@acme.example", "prospect", "--reason", "met him at the fair").out
    assert "bob@acme.example moved from lead to prospect" in said
    wrong = office("contacts", "move", "cy@tiny.example", "nowhere", "--reason", "why not", code=1).err
    assert "there is no stage 'nowhere'" in wrong


def test_a_signal_about_a_company_is_recorded_by_its_domain(office: Shell) -> None:
    assert (
        "there is no account with the domain" in office("events", "record", "no.example", "intent_signaled", code=1).err
    )
    assert Path(office.folder).is_dir()


def test_a_lifecycle_with_mistakes_is_not_drawn_but_its_mistakes_are_named(nurture: Shell) -> None:
    path = nurture.folder / "sequences/lifecycle.yaml"
    path.write_text(path.read_text("utf-8").replace("start: lead", "start: leed"), "utf-8")
    assert "unknown stage 'leed', did you mean 'lead'?" in nurture("lifecycle", "show", code=1).err
