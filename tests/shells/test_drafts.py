"""Personal mail: drafted for a rep, bound to what they approved, void when something came between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from nurture import drafts
from nurture.core.model import ContactId, Rep
from nurture.db import tables
from nurture.errors import NotFound, Refused, StaleDraft
from tests.programs import PROSPECT_TEXT
from tests.world import World


@pytest.fixture
def rita(world: World) -> Rep:
    """The rep who owns everybody here."""
    return world.rep()


@pytest.fixture
def ann(world: World, rita: Rep) -> ContactId:
    """A prospect whose first draft waits for Rita."""
    contact = world.contact("ann@example.com", owner=rita, account={"name": "Acme"})
    world.record(contact, "content_downloaded")
    world.record(contact, "content_downloaded")
    world.advance(days=1)
    assert _draft(world).state == "awaiting_approval"
    return contact


def test_a_prospect_gets_a_draft_a_day_ahead_and_no_mail(world: World, ann: ContactId) -> None:
    draft = _draft(world)
    assert draft.due_at - world.now == timedelta(days=1)
    assert draft.subject == "A question"
    world.advance(days=3)
    assert world.mails() == []
    assert world.row(tables.Enrollment, sequence="introduction").state == "held"


def test_an_approved_draft_goes_out_in_the_reps_name_when_it_is_due(world: World, rita: Rep, ann: ContactId) -> None:
    _approve(world, rita)
    world.work()
    assert world.mails() == []
    world.advance(days=1)
    (mail,) = world.mails()
    assert mail["From"] == "Rita Roy <rita@northwind.example>"
    assert mail["List-Unsubscribe"] is None
    assert "do you have a minute?" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert world.row(tables.Message, voice="personal", state="accepted").approval_id is not None


def test_a_follow_up_answers_the_first_mail_in_its_thread(world: World, rita: Rep, ann: ContactId) -> None:
    _approve(world, rita)
    world.advance(days=3)
    _approve(world, rita)
    world.advance(days=3)
    first, second = world.mails()
    assert second["Subject"] == "Re: A question"
    assert second["In-Reply-To"] == first["Message-ID"]
    assert second["References"].split() == [first["Message-ID"]]


def test_an_approval_of_another_content_is_refused(world: World, rita: Rep, ann: ContactId) -> None:
    draft = _draft(world)
    with world.database.write() as connection:
        drafts.edit(connection, draft.id, rita, subject="Another", text=None, now=world.now)
    with pytest.raises(StaleDraft, match="changed"), world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, "rita", world.now)
    _approve(world, rita)
    world.advance(days=1)
    assert world.mails()[0]["Subject"] == "Another"


def test_editing_an_approved_draft_voids_its_approval(world: World, rita: Rep, ann: ContactId) -> None:
    _approve(world, rita)
    with world.database.write() as connection:
        drafts.edit(connection, _draft(world).id, rita, subject=None, text="Quite another text.\n", now=world.now)
    world.advance(days=2)
    assert world.mails() == []
    assert _draft(world).state == "awaiting_approval"


def test_only_the_owner_approves(world: World, ann: ContactId) -> None:
    sam = world.rep("sam@northwind.example", "Sam Sen")
    draft = _draft(world)
    with pytest.raises(Refused, match="only its owner"), world.database.write() as connection:
        drafts.approve(connection, draft.id, sam, draft.content_hash, "sam", world.now)


def test_a_reply_between_approval_and_sending_stops_the_mail(world: World, rita: Rep, ann: ContactId) -> None:
    _approve(world, rita)
    world.record(ann, "replied")
    world.advance(days=5)
    assert world.mails() == []
    assert world.row(tables.Message, voice="personal").state == "cancelled"


@pytest.mark.parametrize("kind", ["rep_wrote", "owner_changed"])
def test_what_voids_an_approval_sends_the_draft_back_with_the_reason(
    world: World, rita: Rep, ann: ContactId, kind: str
) -> None:
    _approve(world, rita)
    world.record(ann, kind)
    draft = _draft(world)
    assert (draft.state, draft.approval_id) == ("awaiting_approval", None)
    assert draft.void_reason == kind.replace("_", " ") + (" by hand" if kind == "rep_wrote" else "")
    world.advance(days=2)
    assert world.mails() == []


def test_a_suppression_cancels_an_approved_draft(world: World, rita: Rep, ann: ContactId) -> None:
    _approve(world, rita)
    world.record(ann, "complained")
    world.advance(days=2)
    assert world.mails() == []
    assert _draft(world).state == "cancelled"


def test_rejecting_ends_the_run_and_skipping_goes_on(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        drafts.skip(connection, _draft(world).id, rita, world.now)
    world.advance(days=3)
    assert _draft(world).step_id == "second"
    with world.database.write() as connection:
        drafts.reject(connection, _draft(world).id, rita, "not now", world.now)
    rejected = _draft(world)
    assert (rejected.state, rejected.reason) == ("cancelled", "rejected: not now")
    assert world.row(tables.Enrollment, sequence="introduction").state == "completed"


def test_a_rejected_first_mail_ends_the_run(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        drafts.reject(connection, _draft(world).id, rita, "bad fit", world.now)
    assert world.row(tables.Enrollment, sequence="introduction").state == "exited"


def test_a_snoozed_draft_waits_and_an_old_one_expires(world: World, rita: Rep, ann: ContactId) -> None:
    with world.database.write() as connection:
        drafts.snooze(connection, _draft(world).id, rita, world.now + timedelta(days=10), world.now)
    _approve(world, rita)
    world.advance(days=9)
    assert world.mails() == []
    world.advance(days=2)
    assert len(world.mails()) == 1


def test_a_draft_that_nobody_approves_expires(world: World, ann: ContactId) -> None:
    world.advance(days=14)
    draft = world.rows(tables.Message, voice="personal")[0]
    assert (draft.state, draft.reason) == ("cancelled", "nobody approved it in time")
    assert world.row(tables.Enrollment, sequence="introduction").state == "exited"


def test_a_draft_that_lacks_a_value_waits_for_it(world: World, rita: Rep) -> None:
    world.apply({"templates/prospects/first.txt": PROSPECT_TEXT.format(subject="{{ plan }}", body="hi.")})
    contact = world.contact("bob@example.com", owner=rita)
    world.record(contact, "content_downloaded")
    world.record(contact, "content_downloaded")
    world.advance(days=1)
    assert _draft(world).state == "planned"
    assert "plan" in _draft(world).reason
    with world.database.write() as connection:
        connection.execute(update(tables.Contact).values(fields={"plan": "pro"}))
    world.advance(hours=5)
    assert (_draft(world).state, _draft(world).subject) == ("awaiting_approval", "pro")


def test_a_contact_without_an_owner_is_held_with_the_reason(world: World) -> None:
    contact = world.contact("bob@example.com")
    world.record(contact, "content_downloaded")
    world.record(contact, "content_downloaded")
    world.advance(days=1)
    assert "no owner" in world.row(tables.Decision).reason
    rita = world.rep()
    with world.database.write() as connection:
        connection.execute(update(tables.Contact).values(owner_id=rita.id))
    world.advance(hours=5)
    assert _draft(world).state == "awaiting_approval"


def test_an_unknown_draft_is_named(world: World, rita: Rep) -> None:
    with pytest.raises(NotFound, match="no message 77"), world.database.write() as connection:
        drafts.approve(connection, 77, rita, "x", "rita", world.now)


def test_the_database_forbids_personal_mail_without_an_approval(world: World, ann: ContactId) -> None:
    with pytest.raises(IntegrityError), world.database.write() as connection:
        connection.execute(update(tables.Message).where(tables.Message.voice == "personal").values(state="ready"))


def test_the_database_forbids_an_approval_of_another_content(world: World, rita: Rep, ann: ContactId) -> None:
    draft = _draft(world)
    approval = {"message_id": draft.id, "content_hash": "other", "rep_id": rita.id, "actor": "x", "facts": {}}
    with world.database.write() as connection:
        connection.execute(insert(tables.Approval).values(id=1, approved_at=world.now, **approval))
    approving = update(tables.Message).where(tables.Message.id == draft.id).values(approval_id=1, state="approved")
    with pytest.raises(IntegrityError), world.database.write() as connection:
        connection.execute(approving)


def test_the_database_forbids_bulk_mail_from_a_reps_mailbox(world: World, rita: Rep, ann: ContactId) -> None:
    mailbox = world.row(tables.Sender, rep_id=rita.id)
    with pytest.raises(IntegrityError), world.database.write() as connection:
        connection.execute(update(tables.Message).values(voice="marketing", sender_id=mailbox.id))


def _draft(world: World) -> Any:
    return world.rows(tables.Message, voice="personal")[-1]


def _approve(world: World, rita: Rep) -> None:
    draft = _draft(world)
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, rita.email, world.now)
