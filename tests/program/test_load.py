"""A folder as a program: every mistake of every file at once, each where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from nurture.core.words import Voice
from nurture.errors import ProgramError
from nurture.program.folder import read_folder
from nurture.program.load import Loaded, build, load, rebuild

ROOT = Path(__file__).parents[2]
SHIPPED = load(ROOT)
SCORED = "sequences/lifecycles/scored.yaml"
WELCOME = "sequences/leads/welcome.yaml"
EDUCATION = "sequences/leads/education.yaml"
RE_ENGAGE = "sequences/leads/re-engage.yaml"
INTRODUCTION = "sequences/prospects/introduction.yaml"
FOLLOW_UP = "sequences/prospects/follow-up.yaml"


def edited(path: str, old: str, new: str) -> dict[str, str]:
    """Return the shipped files with one change."""
    text = (ROOT / path).read_text("utf-8")
    assert old in text
    return {**SHIPPED.files, "nurture.toml": (ROOT / "nurture.toml").read_text("utf-8"), path: text.replace(old, new)}


def problems(files: dict[str, str]) -> list[str]:
    with pytest.raises(ProgramError) as error:
        build(files)
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("path", "old", "new", "at", "problem"),
    [
        # names of other files
        (WELCOME, "leads/welcome", "leads/welcom", "leads/welcom\n", "unknown template 'leads/welcom', did you mean"),
        (WELCOME, "sender: newsletter", "sender: newsleter", "newsleter", "unknown sender 'newsleter', did you mean"),
        (WELCOME, "role: nurture", "stage: leed", "leed", "unknown stage 'leed', did you mean 'lead'?"),
        (WELCOME, "did('stage_left')", "did('stage_lefd')", "'stage_lefd'", "unknown event `stage_lefd`, did you mean"),
        (SCORED, "level == 'SQL'", "level == 'SSQL'", "'SSQL'", "`level` is never 'SSQL', did you mean 'SQL'?"),
        (
            EDUCATION,
            "set: {fields.reading: started}",
            "set: {fields.reading: begun}",
            "begun",
            "`fields.reading` is never",
        ),
        (
            EDUCATION,
            "sequence: lead-welcome",
            "sequence: lead-welcom",
            "lead-welcom}",
            "unknown sequence 'lead-welcom'",
        ),
        (
            SCORED,
            "account.fields.competitor ==",
            "account.fields.competitr ==",
            "account.fields.competitr",
            "unknown field",
        ),
        (
            "nurture.toml",
            'lifecycle = "scored"',
            'lifecycle = "scord"',
            '"scord"',
            "there is no lifecycle 'scord', did you",
        ),
        (
            "nurture.toml",
            'provider = "outbox"\n\n[reps]',
            'provider = "smtp"\n\n[reps]',
            '"smtp"',
            "provider 'smtp' is not",
        ),
        # two voices
        (FOLLOW_UP, "sender: owner", "sender: newsletter", "newsletter", "a personal sequence cannot be sent by"),
        (WELCOME, "sender: newsletter", "sender: owner", "owner", "marketing mail cannot come from a rep's mailbox"),
        (FOLLOW_UP, "{role: engage}", "{role: nurture}", "audience", "a personal sequence cannot address stage 'lead'"),
        (SCORED, "voice: personal\n    owner: sales", "voice: personal", None, "personal mail needs an owner"),
        (
            INTRODUCTION,
            "prospects/introduction\n",
            "leads/welcome\n",
            "leads/welcome",
            "is personal mail here and marketing",
        ),
        # content, steps, priorities
        (
            WELCOME,
            "content: educational",
            "content: product",
            "product",
            "stage 'lead' does not allow 'product' content",
        ),
        (
            WELCOME,
            "content: educational",
            "content: educatoinal",
            "educatoinal",
            "unknown kind of content 'educatoinal'",
        ),
        (RE_ENGAGE, "wait: 15 business days", "exit: {reason: no}", None, "step 'offer' is never reached"),
        (EDUCATION, "priority: 40", "priority: 60", None, "'lead-education' and 'lead-welcome' can both take"),
        (
            INTRODUCTION,
            "stage_entered: {role: engage}",
            "stage_entered: {role: customer}",
            "stage_entered: {",
            "enrolls nobody",
        ),
        (EDUCATION, "name: lead-education", "name: lead-welcome", None, "sequence 'lead-welcome' stands in"),
        # lifecycle
        (SCORED, "start: lead", "start: prospect", None, None),
        (
            SCORED,
            "from: prospect\n    to: lead",
            "from: prospect\n    to: prospect",
            "from: prospect\n",
            "leads from 'prospect'",
        ),
        (SCORED, "engagement >= 45", "engagement >= 450", "SQL:", "level 'SQL': `engagement` never reaches 450"),
        (
            SCORED,
            "reassign_after: 16 working hours",
            "reassign_after: 1 working hour",
            "reassign_after: 1",
            "`reassign_after` comes before",
        ),
        (
            EDUCATION,
            "if: engagement >= 20",
            "if: engagement >= 999",
            "engagement >= 999",
            "`engagement` never reaches 999",
        ),
        (
            SCORED,
            "200 <= account.employees <= 5000",
            "engagement >= 3",
            "engagement >= 3",
            "fit cannot depend on `engagement`",
        ),
        # fields, kinds
        ("fields.yaml", "type: boolean", "type: bool", "bool\n", "unknown type 'bool', did you mean 'boolean'?"),
        ("fields.yaml", "kind: fields\n", "", None, "this file does not say what it is, begin it with `kind: …`"),
        (WELCOME, "kind: sequence", "kind: sequnce", "sequnce", "unknown kind 'sequnce', did you mean 'sequence'?"),
        # company
        (
            "nurture.toml",
            'time_zone = "Europe/Berlin"',
            'time_zone = "Europe/Berln"',
            '"Europe/Berln"',
            "unknown time zone",
        ),
        (
            "nurture.toml",
            "postal_address",
            "postal_adress",
            "postal_adress",
            "unknown key `postal_adress`, did you mean",
        ),
        (
            "nurture.toml",
            'voice = "marketing"',
            'voice = "personal"',
            '"personal"',
            "a sender of nurture.toml cannot be",
        ),
        ("nurture.toml", 'voice = "marketing"', 'rate = "2 per second"', '"2 per second"', "is no rate"),
        ("nurture.toml", "newsletter@northwind", "newsletter at northwind", '"newsletter at', "is no e-mail address"),
        ("nurture.toml", "[company]", "[company", None, "this is no TOML"),
        # templates
        (
            "templates/leads/welcome.txt",
            "{{ company |",
            "{{ compnay |",
            "compnay",
            "unknown variable `compnay`, did you mean",
        ),
    ],
)
def test_a_mistake_is_pointed_at(path: str, old: str, new: str, at: str | None, problem: str | None) -> None:
    files = edited(path, old, new)
    if problem is None:
        build(files)
        return
    found = problems(files)
    if at is None:
        assert any(problem in each for each in found), found
        return
    before = files[path][: files[path].index(at)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert any(each.startswith(f"{path}:{line}:{column}: ") and problem in each for each in found), found


def test_what_mail_says_of_the_company_must_be_set() -> None:
    missing = edited("nurture.toml", "website = ", "# website = ")
    found = [problem for problem in problems(missing) if problem.startswith("templates/leads/welcome.txt:12:")]
    assert "`our_website` is not set, write website in [company] of nurture.toml" in found[0]

    unread = edited("nurture.toml", "privacy_url = ", "# privacy_url = ")
    guarded = "{% if our_privacy_url is defined %}{{ our_privacy_url }}{% endif %}"
    path = "templates/leads/welcome.txt"
    build(unread | {path: unread[path].replace("{% block content %}", "{% block content %}" + guarded)})


def test_the_mistakes_of_all_files_are_told_at_once() -> None:
    files = edited(WELCOME, "priority: 60", "prioritty: 60")
    files |= {FOLLOW_UP: "kind: sequence\n\tname: x", "fields.yaml": files["fields.yaml"].replace("boolean", "bool")}
    files["templates/leads/welcome.txt"] += "{{ nobody_knows }}"
    named = {problem.partition(":")[0] for problem in problems(files)}
    assert named >= {WELCOME, FOLLOW_UP, "fields.yaml"}


def test_templates_are_checked_when_the_lifecycle_cannot_be_read() -> None:
    files = edited(SCORED, "start: lead", "start: leed")
    files["templates/leads/welcome.txt"] = files["templates/leads/welcome.txt"].replace("first_name", "frist_name")
    assert any("unknown variable `frist_name`" in problem for problem in problems(files))


def test_a_mistake_in_one_file_is_not_told_of_others() -> None:
    files = edited("fields.yaml", "type: boolean", "type: bool")
    assert [problem.partition(":")[0] for problem in problems(files)] == ["fields.yaml"]
    files = edited(WELCOME, "sender: newsletter", "sendr: newsletter")
    assert [problem.partition(":")[0] for problem in problems(files)] == [WELCOME]
    files = edited(SCORED, "start: lead", "start: leed")
    assert [problem.partition(":")[0] for problem in problems(files)] == [SCORED]


@pytest.mark.parametrize("line", ["Unsubscribe: {{ unsubscribe_url }}", "{% include 'snippets/sender"])
def test_marketing_mail_has_a_way_out_and_an_address(line: str) -> None:
    text = SHIPPED.files["templates/layouts/marketing.txt"]
    kept = "\n".join(each for each in text.split("\n") if not each.startswith(line))
    assert kept != text
    what = "no unsubscribe link" if "unsubscribe" in line else "no postal address"
    assert f"templates/leads/welcome.txt:1:1: marketing mail 'leads/welcome' has {what}" in "\n".join(
        problems(edited("templates/layouts/marketing.txt", text, kept))
    )


def test_personal_mail_cannot_name_the_unsubscribe_link() -> None:
    path = "templates/prospects/introduction.txt"
    files = edited(path, "Hi {{", "{{ unsubscribe_url }} {{")
    assert any("unknown variable `unsubscribe_url`, only marketing mail has it" in each for each in problems(files))


def test_each_template_is_compiled_in_the_voice_of_its_sequence() -> None:
    voices = {artifact.name: artifact.voice for artifact in SHIPPED.artifacts.values()}
    assert voices["leads/welcome"] is Voice.MARKETING
    assert voices["prospects/introduction"] is Voice.PERSONAL


def test_the_hash_names_everything_that_runs_and_no_settings() -> None:
    assert build(edited(WELCOME, "priority: 60", "priority: 61")).program.hash != SHIPPED.program.hash
    assert (
        build(edited("nurture.toml", "Northwind Analytics GmbH", "Northwind SE")).program.hash != SHIPPED.program.hash
    )
    settings = edited("nurture.toml", "launch_cap = 500", "launch_cap = 5  # careful")
    assert build(settings).program.hash == SHIPPED.program.hash
    assert "launch_cap" not in SHIPPED.files["nurture.toml"]


def test_a_stored_program_is_rebuilt_as_it_was() -> None:
    again = rebuild(SHIPPED.files, SHIPPED.program.templates, SHIPPED.program.hash)
    assert again == SHIPPED.program


def test_a_stored_program_names_providers_whose_settings_stay_in_the_folder() -> None:
    files = edited("nurture.toml", 'provider = "outbox"\n\n[reps]', 'provider = "smtp"\n\n[reps]')
    assert any("provider 'smtp' is not set up, write [providers.smtp]" in each for each in problems(files))

    files["nurture.toml"] += '\n[providers.smtp]\nhost = "mail.example.com"\n'
    loaded = build(files)
    again = rebuild(loaded.files, loaded.program.templates, loaded.program.hash)
    assert again.senders["newsletter"].provider == "smtp"
    assert again == loaded.program


def test_a_folder_is_read_as_utf_8_with_any_line_ends(tmp_path: Path) -> None:
    write(tmp_path, SHIPPED)
    (tmp_path / WELCOME).write_bytes(b"\xef\xbb\xbf" + SHIPPED.files[WELCOME].replace("\n", "\r\n").encode())
    (tmp_path / "sequences" / ".draft.yaml").write_text("not: a program file")
    (tmp_path / "sequences" / "notes.md").write_text("not a program file either")
    assert load(tmp_path).program.hash == SHIPPED.program.hash


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    write(tmp_path, SHIPPED)
    (tmp_path / WELCOME).write_bytes(b"kind: sequence\nname: \xff\n")
    with pytest.raises(ProgramError) as error:
        load(tmp_path)
    assert f"{WELCOME}:1:1: this file is not UTF-8 text (line 2), save it as UTF-8" in str(error.value)


def test_a_folder_without_settings_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as error:
        load(tmp_path)
    assert str(error.value) == "nurture.toml:1:1: there is no nurture.toml here, begin with `nurture init DIR`"


def write(folder: Path, loaded: Loaded) -> None:
    for path, text in loaded.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def test_a_compose_file_beside_the_program_is_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("x: &a 1\n")
    (tmp_path / "fields.yaml").write_text("kind: fields\n")
    assert list(read_folder(tmp_path)[0]) == ["fields.yaml"]
