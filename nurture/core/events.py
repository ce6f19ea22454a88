"""The kinds of events: past participles, and what each one means to the engine. Companies may declare more.

A kind is *human* when a person did it (it counts against silence), *inbound* when the contact wrote or spoke to us
(it ends runs, lifts a marketing suppression for personal mail, voids drafts).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventKind:
    """What is known of a kind of event."""

    name: str
    label: str
    human: bool = False
    inbound: bool = False


_KINDS = (
    EventKind("created", "became known"),
    EventKind("imported", "was imported"),
    EventKind("form_submitted", "submitted a form", human=True, inbound=True),
    EventKind("content_downloaded", "downloaded content", human=True),
    EventKind("page_viewed", "viewed a page", human=True),
    EventKind("demo_requested", "asked for a demo", human=True, inbound=True),
    EventKind("quote_requested", "asked for a quote", human=True, inbound=True),
    EventKind("trial_started", "started a trial", human=True),
    EventKind("event_registered", "registered for an event", human=True),
    EventKind("event_attended", "attended an event", human=True),
    EventKind("event_missed", "did not come to an event"),
    EventKind("intent_signaled", "showed intent"),
    EventKind("meeting_booked", "booked a meeting", human=True, inbound=True),
    EventKind("meeting_held", "met", human=True, inbound=True),
    EventKind("meeting_missed", "did not come to a meeting"),
    EventKind("called", "spoke on the phone", human=True, inbound=True),
    EventKind("purchased", "bought", human=True, inbound=True),
    EventKind("sent", "was sent a message"),
    EventKind("refused", "could not be sent a message"),
    EventKind("delivered", "received a message"),
    EventKind("opened", "opened a message"),
    EventKind("clicked", "clicked a link", human=True),
    EventKind("replied", "replied", human=True, inbound=True),
    EventKind("auto_replied", "sent an automatic reply"),
    EventKind("rep_wrote", "was written to by hand"),
    EventKind("bounced", "bounced"),
    EventKind("deferred", "could not be reached for now"),
    EventKind("complained", "complained"),
    EventKind("unsubscribed", "unsubscribed"),
    EventKind("stage_entered", "entered a stage"),
    EventKind("stage_left", "left a stage"),
    EventKind("owner_changed", "got another owner"),
    EventKind("segment_entered", "entered a segment"),
    EventKind("segment_left", "left a segment"),
    EventKind("sequence_entered", "entered a sequence"),
    EventKind("sequence_completed", "finished a sequence"),
    EventKind("sequence_exited", "left a sequence"),
    EventKind("nurture_finished", "finished the nurture series"),
    EventKind("handoff_opened", "was handed to sales"),
    EventKind("handoff_assigned", "was given to a rep"),
    EventKind("handoff_warned", "waits for the rep's word"),
    EventKind("handoff_escalated", "has waited for the rep's word too long"),
    EventKind("handoff_reassigned", "was given to another rep"),
    EventKind("handoff_accepted", "was accepted by sales"),
    EventKind("handoff_rejected", "was rejected by sales"),
    EventKind("handoff_returned", "was returned by sales"),
    EventKind("handoff_resumed", "comes back to sales as agreed"),
    EventKind("task_done", "had a task done"),
    EventKind("slot_set", "was qualified"),
    EventKind("updated", "was updated"),
    EventKind("time_passed", "was reviewed"),
)

KINDS: dict[str, EventKind] = {kind.name: kind for kind in _KINDS}
"""Every built-in kind by name."""

HUMAN = frozenset(kind.name for kind in _KINDS if kind.human)
INBOUND = frozenset(kind.name for kind in _KINDS if kind.inbound)
REPLIES = frozenset({"replied"})
"""Kinds that end a run by `exit_when: reply` and void approvals."""
