"""Make the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Json, Key, Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_blobs")),
    )
    op.create_table(
        "import_runs",
        sa.Column("id", Key, nullable=False),
        sa.Column("file_hash", sa.String(), nullable=False),
        sa.Column("mapping_hash", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_runs")),
        sa.UniqueConstraint(
            "file_hash", "mapping_hash", "source", name=op.f("uq_import_runs_file_hash_mapping_hash_source")
        ),
    )
    op.create_table(
        "inbox",
        sa.Column("id", Key, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("delivery_key", sa.String(), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("received_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("source", "delivery_key", name=op.f("uq_inbox_source_delivery_key")),
    )
    op.create_table(
        "instance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_check", sa.String(), nullable=False),
        sa.Column("rehearsal", sa.Boolean(), nullable=False),
        sa.Column("rehearsal_now", Moment(), nullable=True),
        sa.Column("launch_cap", sa.Integer(), nullable=True),
        sa.Column("sending_paused", sa.String(), nullable=True),
        sa.Column("unsubscribe_tested_url", sa.String(), nullable=True),
        sa.Column("unsubscribe_tested_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_instance_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("term", Key, nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "paused_sequences",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("paused_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_paused_sequences")),
    )
    op.create_table(
        "programs",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("manifest", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_programs")),
    )
    op.create_table(
        "reps",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("signature", sa.String(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("calendar", Json, nullable=True),
        sa.Column("calendar_link", sa.String(), nullable=True),
        sa.Column("daily_capacity", sa.Integer(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reps")),
        sa.UniqueConstraint("email", name=op.f("uq_reps_email")),
    )
    op.create_table(
        "sequence_versions",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("definition", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("voice IN ('marketing', 'personal')", name=op.f("ck_sequence_versions_voice")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequence_versions")),
        sa.UniqueConstraint("id", "voice", name=op.f("uq_sequence_versions_id_voice")),
        sa.UniqueConstraint("name", "hash", name=op.f("uq_sequence_versions_name_hash")),
    )
    op.create_table(
        "stages",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.CheckConstraint("role IN ('nurture', 'engage', 'customer', 'out')", name=op.f("ck_stages_role")),
        sa.CheckConstraint("voice IN ('marketing', 'personal', 'silent')", name=op.f("ck_stages_voice")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_stages")),
    )
    op.create_table(
        "suppressions",
        sa.Column("id", Key, nullable=False),
        sa.Column("address_hash", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("scope IN ('all', 'marketing', 'personal')", name=op.f("ck_suppressions_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint("address_hash", "scope", name=op.f("uq_suppressions_address_hash_scope")),
    )
    op.create_table(
        "templates",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", Json, nullable=False),
        sa.Column("artifact", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_templates")),
    )
    op.create_index(op.f("ix_templates_name"), "templates", ["name"], unique=False)

    op.create_table(
        "timers",
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", Key, autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('enrollment', 'message', 'review', 'draft')", name=op.f("ck_timers_kind")),
        sa.PrimaryKeyConstraint("due_at", "kind", "subject_id", name=op.f("pk_timers")),
        sa.UniqueConstraint("kind", "subject_id", name=op.f("uq_timers_kind_subject_id")),
        postgresql_with={"fillfactor": 80},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accounts",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("name_key", sa.String(), nullable=True),
        sa.Column("domain", sa.String(), nullable=True),
        sa.Column("industry", sa.String(), nullable=True),
        sa.Column("employees", Key, nullable=True),
        sa.Column("revenue", Key, nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("technologies", Json, nullable=True),
        sa.Column("owner_id", Key, nullable=True),
        sa.Column("fields", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["reps.id"], name=op.f("fk_accounts_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("domain", name=op.f("uq_accounts_domain")),
    )
    op.create_index(op.f("ix_accounts_name_key"), "accounts", ["name_key"], unique=False)

    op.create_table(
        "approvals",
        sa.Column("id", Key, nullable=False),
        sa.Column("message_id", Key, nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("rep_id", Key, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("approved_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_approvals_message_id", use_alter=True),
        sa.ForeignKeyConstraint(["rep_id"], ["reps.id"], name=op.f("fk_approvals_rep_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("id", "content_hash", name=op.f("uq_approvals_id_content_hash")),
    )
    op.create_index(op.f("ix_approvals_message_id"), "approvals", ["message_id"], unique=False)

    op.create_table(
        "live",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_hash", sa.String(), nullable=False),
        sa.Column("applied_at", Moment(), nullable=False),
        sa.Column("applied_by", sa.String(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_live_only_one")),
        sa.ForeignKeyConstraint(["program_hash"], ["programs.hash"], name=op.f("fk_live_program_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live")),
    )
    op.create_table(
        "senders",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("reply_to", sa.String(), nullable=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("rep_id", Key, nullable=True),
        sa.Column("paused_reason", sa.String(), nullable=True),
        sa.Column("paused_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("(voice = 'personal') = (rep_id IS NOT NULL)", name=op.f("ck_senders_personal_is_a_reps")),
        sa.CheckConstraint("voice IN ('marketing', 'personal')", name=op.f("ck_senders_voice")),
        sa.ForeignKeyConstraint(["rep_id"], ["reps.id"], name=op.f("fk_senders_rep_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_senders")),
        sa.UniqueConstraint("id", "voice", name=op.f("uq_senders_id_voice")),
        sa.UniqueConstraint("name", name=op.f("uq_senders_name")),
    )
    op.create_table(
        "contacts",
        sa.Column("id", Key, nullable=False),
        sa.Column("account_id", Key, nullable=True),
        sa.Column("owner_id", Key, nullable=True),
        sa.Column("first_name", sa.String(), nullable=True),
        sa.Column("last_name", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("buying_role", sa.String(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("locale", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("stage_since", Moment(), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.Column("consent", Json, nullable=True),
        sa.Column("merged_into", Key, nullable=True),
        sa.Column("erased_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_contacts_account_id")),
        sa.ForeignKeyConstraint(["merged_into"], ["contacts.id"], name=op.f("fk_contacts_merged_into")),
        sa.ForeignKeyConstraint(["owner_id"], ["reps.id"], name=op.f("fk_contacts_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
    )
    op.create_index(op.f("ix_contacts_account_id"), "contacts", ["account_id"], unique=False)
    op.create_index(op.f("ix_contacts_owner_id"), "contacts", ["owner_id"], unique=False)
    op.create_index(op.f("ix_contacts_stage"), "contacts", ["stage"], unique=False)

    op.create_table(
        "send_counts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sender_id", Key, autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["sender_id"], ["senders.id"], name=op.f("fk_send_counts_sender_id")),
        sa.PrimaryKeyConstraint("day", "sender_id", name=op.f("pk_send_counts")),
    )
    op.create_table(
        "addresses",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("address_hash", sa.String(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_addresses_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
        sa.UniqueConstraint("email_key", name=op.f("uq_addresses_email_key")),
    )
    op.create_index(op.f("ix_addresses_address_hash"), "addresses", ["address_hash"], unique=False)
    op.create_index(op.f("ix_addresses_contact_id"), "addresses", ["contact_id"], unique=False)
    op.create_index(
        op.f("uq_addresses_primary"),
        "addresses",
        ["contact_id"],
        unique=True,
        sqlite_where=sa.text("is_primary"),
        postgresql_where=sa.text("is_primary"),
    )

    op.create_table(
        "decisions",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("message_id", Key, nullable=True),
        sa.Column("step_id", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("until", Moment(), nullable=True),
        sa.Column("checks", Json, nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("program_hash", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_decisions_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_contact_id_last_at"), "decisions", ["contact_id", "last_at"], unique=False)
    op.create_index(op.f("ix_decisions_message_id"), "decisions", ["message_id"], unique=False)

    op.create_table(
        "enrollments",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("sequence", sa.String(), nullable=False),
        sa.Column("version_id", Key, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=True),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("entered_at", Moment(), nullable=False),
        sa.Column("base_at", Moment(), nullable=False),
        sa.Column("waiting_for", sa.String(), nullable=True),
        sa.Column("paused_until", Moment(), nullable=True),
        sa.Column("sender_id", Key, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("enroll_reason", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("disposition", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'waiting', 'held', 'paused', 'completed', 'exited', 'failed')",
            name=op.f("ck_enrollments_state"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_enrollments_contact_id")),
        sa.ForeignKeyConstraint(["sender_id"], ["senders.id"], name=op.f("fk_enrollments_sender_id")),
        sa.ForeignKeyConstraint(["version_id"], ["sequence_versions.id"], name=op.f("fk_enrollments_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
        sa.UniqueConstraint("contact_id", "sequence", "run", name=op.f("uq_enrollments_contact_id_sequence_run")),
    )
    op.create_index(op.f("ix_enrollments_contact_id"), "enrollments", ["contact_id"], unique=False)
    op.create_index(
        op.f("uq_enrollments_live"),
        "enrollments",
        ["contact_id", "sequence"],
        unique=True,
        sqlite_where=sa.text("state IN ('pending', 'active', 'waiting', 'held', 'paused')"),
        postgresql_where=sa.text("state IN ('pending', 'active', 'waiting', 'held', 'paused')"),
    )

    op.create_table(
        "events",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=True),
        sa.Column("account_id", Key, nullable=True),
        sa.Column("message_id", Key, nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("trust", sa.Double(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.CheckConstraint("contact_id IS NOT NULL OR account_id IS NOT NULL", name=op.f("ck_events_about_someone")),
        sa.CheckConstraint("trust BETWEEN 0 AND 1", name=op.f("ck_events_trust")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_events_account_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_events_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_events_source_external_id")),
    )
    op.create_index(op.f("ix_events_account_id_at"), "events", ["account_id", "at"], unique=False)
    op.create_index(op.f("ix_events_contact_id_at"), "events", ["contact_id", "at"], unique=False)

    op.create_table(
        "external_ids",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_external_ids_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_ids")),
        sa.UniqueConstraint("system", "external_id", name=op.f("uq_external_ids_system_external_id")),
    )
    op.create_index(op.f("ix_external_ids_contact_id"), "external_ids", ["contact_id"], unique=False)

    op.create_table(
        "handoffs",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("rep_id", Key, nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("packet", Json, nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'accepted', 'rejected', 'returned')", name=op.f("ck_handoffs_state")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_handoffs_contact_id")),
        sa.ForeignKeyConstraint(["rep_id"], ["reps.id"], name=op.f("fk_handoffs_rep_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handoffs")),
    )
    op.create_index(op.f("ix_handoffs_contact_id"), "handoffs", ["contact_id"], unique=False)
    op.create_index(op.f("ix_handoffs_rep_id"), "handoffs", ["rep_id"], unique=False)
    op.create_index(
        op.f("uq_handoffs_open"),
        "handoffs",
        ["contact_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )

    op.create_table(
        "stage_changes",
        sa.Column("id", Key, nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("from_stage", sa.String(), nullable=True),
        sa.Column("to_stage", sa.String(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("program_hash", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_stage_changes_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_changes")),
    )
    op.create_index(op.f("ix_stage_changes_contact_id_at"), "stage_changes", ["contact_id", "at"], unique=False)

    op.create_table(
        "standings",
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("fit_points", sa.Integer(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("engagement", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("as_of", Moment(), nullable=False),
        sa.Column("model_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_standings_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_standings")),
    )
    op.create_table(
        "messages",
        sa.Column("id", Key, nullable=False),
        sa.Column("origin_key", sa.String(), nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("version_id", Key, nullable=True),
        sa.Column("step_id", sa.String(), nullable=True),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("sender_id", Key, nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("template_hash", sa.String(), nullable=False),
        sa.Column("program_hash", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("not_after", Moment(), nullable=True),
        sa.Column("to_address", sa.String(), nullable=False),
        sa.Column("to_hash", sa.String(), nullable=False),
        sa.Column("message_id_header", sa.String(), nullable=False),
        sa.Column("in_reply_to", sa.String(), nullable=True),
        sa.Column("thread_references", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("text_body", sa.String(), nullable=True),
        sa.Column("html_body", sa.String(), nullable=True),
        sa.Column("variables", Json, nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("edited", sa.Boolean(), nullable=False),
        sa.Column("approval_id", Key, nullable=True),
        sa.Column("void_reason", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("date_header", Moment(), nullable=True),
        sa.Column("dispatching_at", Moment(), nullable=True),
        sa.Column("sent_at", Moment(), nullable=True),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("provider_id", sa.String(), nullable=True),
        sa.Column("wire_id", sa.String(), nullable=True),
        sa.Column("wire_hash", sa.String(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "state IN ('planned', 'awaiting_approval', 'approved', 'ready', 'claimed', 'dispatching', "
            "'retry_wait', 'ambiguous', 'accepted', 'settled_sent', 'settled_not_sent', 'refused', 'cancelled')",
            name=op.f("ck_messages_state"),
        ),
        sa.CheckConstraint(
            "voice <> 'personal' OR state IN ('planned', 'awaiting_approval', 'cancelled') OR approval_id IS NOT NULL",
            name=op.f("ck_messages_personal_needs_approval"),
        ),
        sa.CheckConstraint(
            "approval_id IS NULL OR content_hash IS NOT NULL", name=op.f("ck_messages_approval_binds_content")
        ),
        sa.ForeignKeyConstraint(
            ["approval_id", "content_hash"],
            ["approvals.id", "approvals.content_hash"],
            name=op.f("fk_messages_approval_id_content_hash"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_messages_contact_id")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_messages_enrollment_id")),
        sa.ForeignKeyConstraint(
            ["sender_id", "voice"], ["senders.id", "senders.voice"], name=op.f("fk_messages_sender_id_voice")
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "voice"],
            ["sequence_versions.id", "sequence_versions.voice"],
            name=op.f("fk_messages_version_id_voice"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("message_id_header", name=op.f("uq_messages_message_id_header")),
        sa.UniqueConstraint("origin_key", name=op.f("uq_messages_origin_key")),
    )
    op.create_index(op.f("ix_messages_contact_id_due_at"), "messages", ["contact_id", "due_at"], unique=False)
    op.create_index(op.f("ix_messages_enrollment_id"), "messages", ["enrollment_id"], unique=False)
    op.create_index(op.f("ix_messages_provider_id"), "messages", ["provider_id"], unique=False)
    op.create_index(op.f("ix_messages_state"), "messages", ["state", "due_at"], unique=False)
    op.create_index(op.f("ix_messages_wire_id"), "messages", ["wire_id"], unique=False)

    op.create_table(
        "tasks",
        sa.Column("id", Key, nullable=False),
        sa.Column("origin_key", sa.String(), nullable=False),
        sa.Column("contact_id", Key, nullable=False),
        sa.Column("rep_id", Key, nullable=True),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("step_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("done_at", Moment(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'done', 'cancelled')", name=op.f("ck_tasks_state")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_tasks_contact_id")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_tasks_enrollment_id")),
        sa.ForeignKeyConstraint(["rep_id"], ["reps.id"], name=op.f("fk_tasks_rep_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("origin_key", name=op.f("uq_tasks_origin_key")),
    )
    op.create_index(op.f("ix_tasks_contact_id"), "tasks", ["contact_id"], unique=False)
    op.create_index(op.f("ix_tasks_rep_id"), "tasks", ["rep_id"], unique=False)

    # Approvals and messages point at each other. SQLite made the reference with the table, before there were messages.
    if op.get_context().dialect.name == "postgresql":
        op.create_foreign_key("fk_approvals_message_id", "approvals", "messages", ["message_id"], ["id"])


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint("fk_approvals_message_id", "approvals", type_="foreignkey")
    for table in (
        "tasks",
        "messages",
        "standings",
        "stage_changes",
        "handoffs",
        "external_ids",
        "events",
        "enrollments",
        "decisions",
        "addresses",
        "send_counts",
        "contacts",
        "senders",
        "live",
        "approvals",
        "accounts",
        "timers",
        "templates",
        "suppressions",
        "stages",
        "sequence_versions",
        "reps",
        "programs",
        "paused_sequences",
        "leases",
        "instance",
        "inbox",
        "import_runs",
        "blobs",
    ):
        op.drop_table(table)
