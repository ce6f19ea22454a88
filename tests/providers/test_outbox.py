"""The outbox: a file whole or not at all, and the file is the evidence."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.errors import ProviderError
from nurture.mail.wire import to_bytes
from nurture.providers.base import Outcome, load
from nurture.providers.outbox import Outbox, file_name
from tests.providers.servers import mails


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_mail_becomes_a_file_named_by_its_message_id(tmp_path: Path) -> None:
    outbox = load("outbox", {}, folder=tmp_path, secrets={})
    (mail,) = mails()
    (receipt,) = outbox.send([mail], seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED
    assert receipt.provider_id == "2026-01-02/m0@acme.example.eml"
    assert (tmp_path / "outbox" / receipt.provider_id).read_bytes() == to_bytes(mail)
    assert not outbox.real


def test_sending_again_changes_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    (mail,) = mails()
    outbox.send([mail], seconds=5)
    (receipt,) = outbox.send([replace(mail, subject="another")], seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED
    assert files(tmp_path) == ["2026-01-02/m0@acme.example.eml"]
    assert outbox.path(mail).read_bytes() == to_bytes(mail)


def test_files_are_the_evidence(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "later", fsync=False)
    one, two = mails(2)
    assert outbox.evidence([one.message_id]) == {one.message_id: False}
    outbox.send([one], seconds=5)
    assert outbox.evidence([one.message_id, two.message_id]) == {one.message_id: True, two.message_id: False}


def test_full_batch_without_fsync(tmp_path: Path) -> None:
    outbox = load("outbox", {"directory": "out", "fsync": False}, folder=tmp_path, secrets={})
    receipts = outbox.send(mails(500), seconds=30)
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert len(files(tmp_path / "out")) == 500


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file in the way")
    (receipt,) = load("outbox", {}, folder=tmp_path, secrets={}).send(mails(), seconds=5)
    assert receipt.outcome is Outcome.NOT_SENT
    assert str(tmp_path / "outbox") in receipt.detail
    assert "directory" in receipt.detail.lower()


def test_disk_that_takes_no_more_is_not_sent_and_leaves_no_half_file(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        (receipt,) = outbox.send(mails(), seconds=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert receipt.outcome is Outcome.NOT_SENT
    assert "File too large" in receipt.detail
    assert files(tmp_path) == []
    assert outbox.send(mails(), seconds=5)[0].outcome is Outcome.ACCEPTED


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300))
def test_file_names_are_safe(message_id: str) -> None:
    name = file_name(f"<{message_id}>")
    assert name.isascii()
    assert "/" not in name
    assert "\\" not in name
    assert not name.startswith(".")
    assert len(name) <= 200
    assert name.endswith(".eml")


@given(st.lists(st.text("aA./%<é_-@ ", min_size=1, max_size=200), min_size=2, max_size=2, unique=True))
def test_two_message_ids_have_two_files(message_ids: list[str]) -> None:
    one, two = (message_id.strip("<>") for message_id in message_ids)
    assert (file_name(one) == file_name(two)) == (one == two)


def test_wrong_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="did you mean 'directory'"):
        load("outbox", {"directry": "x"}, folder=tmp_path, secrets={})
