"""What every provider owes its caller, asked of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nurture.providers.base import Outcome, Provider, load, names
from tests.providers.servers import Postbox, free_port, http_server, mails, postmark_takes, smtp_server

SECRET = "hush-hush"

Given = Callable[[Path], AbstractContextManager[Provider]]


@contextmanager
def outbox(folder: Path) -> Iterator[Provider]:
    yield load("outbox", {}, folder=folder, secrets={})


@contextmanager
def smtp(folder: Path) -> Iterator[Provider]:
    with smtp_server(Postbox()) as (port, _):
        provider = load("smtp", {"host": "127.0.0.1", "port": port, "security": "none"}, folder=folder, secrets={})
        yield provider
        provider.close()


@contextmanager
def postmark(folder: Path) -> Iterator[Provider]:
    with http_server(postmark_takes) as server:
        provider = load("postmark", {"base_url": server.url}, folder=folder, secrets={"NURTURE_POSTMARK_TOKEN": SECRET})
        yield provider
        provider.close()


WORKING: dict[str, Given] = {"outbox": outbox, "postmark": postmark, "smtp": smtp}


def unreachable(name: str, folder: Path) -> Provider:
    url = f"http://127.0.0.1:{free_port()}"
    options: dict[str, dict[str, object]] = {
        "outbox": {"directory": "in-the-way"},
        "postmark": {"base_url": url},
        "smtp": {"host": "127.0.0.1", "port": free_port(), "security": "none", "username": "me"},
    }
    (folder / "in-the-way").write_text("")
    secrets = {"NURTURE_POSTMARK_TOKEN": SECRET, "NURTURE_SMTP_PASSWORD": SECRET}
    return load(name, options[name], folder=folder, secrets=secrets)


def test_every_provider_is_asked() -> None:
    assert list(WORKING) == names()


@pytest.fixture(params=WORKING.values(), ids=WORKING)
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Provider]:
    with request.param(tmp_path) as working:
        yield working


def test_one_receipt_for_each_mail_in_order(provider: Provider) -> None:
    receipts = provider.send(mails(7), seconds=5)
    assert [(receipt.id, receipt.outcome) for receipt in receipts] == [
        (number, Outcome.ACCEPTED) for number in range(1, 8)
    ]
    assert len({receipt.provider_id for receipt in receipts}) == 7


def test_nothing_in_nothing_out(provider: Provider) -> None:
    assert provider.send([], seconds=5) == []


def test_mail_that_cannot_be_written_is_refused_alone(provider: Provider) -> None:
    one, two, three, four = mails(4)
    bad = [replace(two, subject="Hi\nBcc: eve@example.com"), replace(three, to_address="a@b.com, eve@example.com")]
    receipts = provider.send([one, *bad, four], seconds=5)
    assert [receipt.outcome for receipt in receipts] == [
        Outcome.ACCEPTED,
        Outcome.REFUSED,
        Outcome.REFUSED,
        Outcome.ACCEPTED,
    ]
    assert all(receipt.detail for receipt in receipts[1:3])


def test_no_time_means_not_sent(provider: Provider) -> None:
    assert {receipt.outcome for receipt in provider.send(mails(3), seconds=0)} == {Outcome.NOT_SENT}
    assert {receipt.outcome for receipt in provider.send(mails(3), seconds=5)} == {Outcome.ACCEPTED}


def test_provider_knows_its_name_and_batch(provider: Provider) -> None:
    assert provider.name in names()
    assert 1 <= provider.batch <= 1000
    assert provider.real is (provider.name != "outbox")


def test_evidence_is_never_guessed(provider: Provider) -> None:
    (mail,) = mails()
    assert not any(provider.evidence([mail.message_id]).values())
    provider.send([mail], seconds=5)
    assert provider.evidence([mail.message_id]).get(mail.message_id, True)


def test_closing_twice_is_fine(provider: Provider) -> None:
    provider.send(mails(), seconds=5)
    provider.close()
    provider.close()


@pytest.mark.parametrize("name", WORKING)
def test_what_cannot_be_reached_is_not_sent_with_the_reason_and_no_secret(name: str, tmp_path: Path) -> None:
    provider = unreachable(name, tmp_path)
    receipts = provider.send(mails(3), seconds=5)
    provider.close()
    assert [receipt.id for receipt in receipts] == [1, 2, 3]
    for receipt in receipts:
        assert receipt.outcome is Outcome.NOT_SENT
        assert receipt.detail.startswith("cannot ")
        assert SECRET not in repr(receipt)
