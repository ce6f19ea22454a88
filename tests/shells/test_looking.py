"""What people look at, on both databases: lists, a draft, a message written again, a test mail, the summary."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nurture import approving, drafts, engine, live
from nurture.core.model import ContactId, Rep
from nurture.core.spans import parse_span
from nurture.core.words import MessageState, Scope
from nurture.db import instance, tables
from nurture.errors import NotFound, Refused, StaleDraft, UsageError
from nurture.looking import messages
from nurture.looking.preview import Asked, Preview, as_test, preview
from nurture.people import find_contact, find_rep, suppress_address
from nurture.reports.summary import summary
from tests.world import LINKS, RING, World


@pytest.fixture
def rita(world: World) -> Rep:
    return world.rep()


@pytest.fixture
def ann(world: World, rita: Rep) -> ContactId:
    """A prospect with one marketing mail behind her and a draft that waits."""
    contact = world.contact("ann@example.com", owner=rita, account={"name": "Acme"}, last_name="Bell")
    world.work()
    for _ in range(2):
        world.record(contact, "content_downloaded", asset="Guide")
    world.advance(days=1)
    return contact


def test_a_rep_sees_their_drafts_by_due_time(world: World, rita: Rep, ann: ContactId) -> None:
    sam = world.rep("sam@northwind.example", "Sam Sen")
    with world.database.read() as connection:
        (row,) = approving.waiting(connection, rita)
        assert approving.waiting(connection, sam) == []
        assert [each.id for each in approving.waiting(connection, None)] == [row.id]
    assert (row.company, row.last_name, row.sequence, row.rep) == ("Acme", "Bell", "introduction", rita.email)


def test_a_draft_is_read_with_its_thread(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        (row,) = approving.waiting(connection, rita)
        drafts.approve(connection, row.id, rita, row.content_hash, rita.email, world.now)
    world.advance(days=3)
    with world.database.read() as connection:
        (row,) = approving.waiting(connection, rita)
        found = approving.read(connection, row.id, world.now)
    assert [sent.subject for sent in found.thread] == ["A question"]
    assert found.profile.facts["company"] == "Acme"
    assert any(each.detail == "asset: Guide" for each in found.profile.timeline)
    assert found.hash == row.content_hash[:12]


def test_an_edit_of_what_changed_meanwhile_is_refused(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        (row,) = approving.waiting(connection, rita)
        drafts.edit(connection, row.id, rita, subject="Somebody was faster", text=None, now=world.now)
    with pytest.raises(StaleDraft), world.database.write() as connection:
        approving.edit(connection, row.id, rita, row.content_hash, "Mine", None, world.now)


def test_a_draft_is_snoozed_by_the_contacts_calendar(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        (row,) = approving.waiting(connection, rita)
        until = approving.snooze(connection, row.id, rita, parse_span("4 business days"), world.now)
    assert until == world.now + timedelta(days=6)
    assert world.row(tables.Message, id=row.id).due_at == until


def test_what_was_sent_is_written_again_to_the_byte(world: World, ann: ContactId) -> None:
    with world.database.read() as connection:
        (sent,) = messages.listing(connection, state=MessageState.ACCEPTED, contact_id=ann, limit=9)
        again = messages.write_again(connection, sent.id, LINKS, None, world.now)
    assert again.same is True
    assert again.raw == world.outbox.path(again.mail).read_bytes()


def test_a_draft_that_is_not_written_yet_has_no_mail(world: World, rita: Rep) -> None:
    contact = world.contact("bob@example.com", owner=rita)
    for _ in range(2):
        world.record(contact, "content_downloaded")
    world.now += timedelta(days=1)
    engine.tick(world.database, "tester", world.now)
    (row,) = world.rows(tables.Message, voice="personal")
    with pytest.raises(Refused, match="not written yet"), world.database.read() as connection:
        messages.write_again(connection, row.id, LINKS, None, world.now)


def test_a_preview_answers_in_the_thread_of_the_run(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        (row,) = approving.waiting(connection, rita)
        drafts.approve(connection, row.id, rita, row.content_hash, rita.email, world.now)
    world.advance(days=1)
    sent = world.row(tables.Message, id=row.id)
    second = _preview(world, ann, "introduction", "second")
    assert second.mail.subject == "Re: A question"
    assert (second.mail.in_reply_to, second.mail.references) == (sent.message_id_header, (sent.message_id_header,))


def test_a_preview_says_what_the_draft_says(world: World, rita: Rep, ann: ContactId) -> None:
    draft = world.row(tables.Message, voice="personal")
    shown = _preview(world, ann, "introduction", "first").mail
    assert (shown.subject, shown.text, shown.html) == (draft.subject, draft.text_body, draft.html_body)


@pytest.mark.parametrize("why", ["domain", "suppressed", "paused"])
def test_a_test_mail_keeps_the_rules_of_all_mail(world: World, ann: ContactId, why: str) -> None:
    domains = frozenset({"example.com"}) if why == "domain" else frozenset[str]()
    with world.database.write() as connection:
        if why == "suppressed":
            who = "me@northwind.example"
            suppress_address(connection, world.program, RING, who, Scope.MARKETING, "asked", "x", world.now)
        if why == "paused":
            instance.pause_sending(connection, "we move offices")
    with pytest.raises(Refused), world.database.read() as connection:
        as_test(connection, _asked(world, ann), LINKS, "me@northwind.example", domains, None, world.now)
    if why == "domain":  # redirected mail goes where all of it goes
        with world.database.read() as connection:
            test = as_test(
                connection, _asked(world, ann), LINKS, "me@northwind.example", domains, "stage@example.com", world.now
            )
        assert test.mail.to_address == "stage@example.com"


def test_the_summary_counts_moves_mail_drafts_and_answers(world: World, ann: ContactId) -> None:
    world.contact("bob@example.com")
    world.work()
    world.record(ann, "replied")
    with world.database.read() as connection:
        found = summary(connection, world.now - timedelta(days=9), world.now + timedelta(days=9))
    assert {stage.name: stage.contacts for stage in found.stages} == {
        "lead": 1,
        "prospect": 1,
        "customer": 0,
        "lost": 0,
    }
    assert found.moves == {("lead", "prospect"): 1}
    assert found.sent == {"marketing": 2}
    assert found.messages["personal"] == {"cancelled": 1}
    assert found.drafts == ()
    assert [(line.rep, line.open, line.overdue) for line in found.tasks] == [("rita@northwind.example", 1, 1)]
    assert next(line for line in found.heard if line.kind == "replied").contacts == 1


def test_a_rep_must_be_named_where_there_are_several(world: World, rita: Rep) -> None:
    with world.database.read() as connection:
        assert find_rep(connection, None).id == rita.id
        assert find_rep(connection, "Rita@Northwind.example").id == rita.id
    world.rep("sam@northwind.example", "Sam Sen")
    with world.database.read() as connection:
        with pytest.raises(UsageError, match=r"rita@northwind\.example, sam@northwind\.example"):
            find_rep(connection, None)
        with pytest.raises(NotFound, match="no rep eve"):
            find_rep(connection, "eve@northwind.example")
        with pytest.raises(NotFound, match="no contact"):
            find_contact(connection, "eve@example.com")


def _asked(world: World, contact: ContactId, sequence: str = "nurture", step: str = "hello") -> Asked:
    with world.database.read() as connection:
        artifacts = live.artifacts(connection, set(world.program.templates.values()))
    return Asked(world.program, artifacts, sequence, step, contact, "key")


def _preview(world: World, contact: ContactId, sequence: str, step: str) -> Preview:
    asked = _asked(world, contact, sequence, step)
    with world.database.read() as connection:
        return preview(connection, asked, LINKS, world.now)
