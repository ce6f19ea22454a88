"""Postmark: the request it gets, and what each answer proves."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nurture.core.words import Voice
from nurture.errors import ProviderError
from nurture.providers.base import Outcome, Provider, Receipt, load
from nurture.providers.http import Http, Response
from nurture.providers.postmark import CODES, Postmark, parse
from tests.providers.servers import DATA, Answer, free_port, http_server, mails, postmark_takes

TOKEN = {"NURTURE_POSTMARK_TOKEN": "hush-hush"}
GOLDEN = DATA / "providers" / "postmark_batch.json"


@contextmanager
def postmark(url: str, **options: object) -> Iterator[Provider]:
    provider = load("postmark", {"base_url": url, **options}, folder=Path(), secrets=TOKEN)
    try:
        yield provider
    finally:
        provider.close()


def results(*items: dict[str, object]) -> Answer:
    return Answer(body=json.dumps(items).encode())


def ok(number: int, **more: object) -> dict[str, object]:
    return {"ErrorCode": 0, "Message": "OK", "MessageID": f"pm-{number}", "To": f"ann{number}@example.com", **more}


def send(*answers: Answer, count: int = 1, seconds: float = 5) -> list[Receipt]:
    with http_server(*answers) as server, postmark(server.url) as provider:
        return provider.send(mails(count), seconds=seconds)


def golden_group() -> list:
    marketing, personal = mails(2)
    return [
        replace(
            marketing,
            voice=Voice.MARKETING,
            from_name="Acme, Inc.",
            from_address="news@acme.example",
            to_name="Ann Müller",
            subject="Grüße",
            reply_to="hello@acme.example",
            unsubscribe_url="https://mail.acme.example/u/token",
            feedback_id="welcome:hello:marketing:acme",
            metadata={"sequence": "lead-welcome"},
        ),
        replace(personal, html=None, in_reply_to="<m0@acme.example>", references=("<a@b>", "<m0@acme.example>")),
    ]


def test_request_is_the_stored_one() -> None:
    provider = Postmark(Http("https://api.postmarkapp.com"), token="POSTMARK_API_TEST")
    request = provider.build(golden_group())
    provider.close()
    written = {"path": request.path, "headers": dict(request.headers), "body": json.loads(request.body)}
    assert written == json.loads(GOLDEN.read_text())


def test_a_mail_takes_no_more_room_than_its_octets() -> None:
    provider = Postmark(Http("https://api.postmarkapp.com"), token="POSTMARK_API_TEST")
    group = mails(40)
    provider.build(group[:1])
    tracemalloc.start()
    try:
        request = provider.build(group)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        provider.close()
    assert peak < 5 * len(request.body)


def test_token_never_shows() -> None:
    provider = Postmark(Http("https://api.postmarkapp.com"), token="hush-hush")
    assert "hush-hush" not in repr(provider.build(mails()))
    provider.close()


def test_batch_is_accepted_with_an_id_each() -> None:
    with http_server(postmark_takes) as server, postmark(server.url) as provider:
        receipts = provider.send(mails(3), seconds=5)
    assert [receipt.outcome for receipt in receipts] == [Outcome.ACCEPTED] * 3
    assert [receipt.provider_id for receipt in receipts] == ["pm-0", "pm-1", "pm-2"]
    ((headers, _),) = server.requests
    assert headers["x-postmark-server-token"] == "hush-hush"


def test_large_group_goes_in_batches_of_500() -> None:
    with http_server(postmark_takes) as server, postmark(server.url) as provider:
        receipts = provider.send(mails(1001), seconds=30)
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert [len(posted) for _, posted in server.requests] == [500, 500, 1]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (10, Outcome.SENDER_REFUSED),
        (300, Outcome.REFUSED),
        (400, Outcome.SENDER_REFUSED),
        (405, Outcome.SENDER_REFUSED),
        (406, Outcome.REFUSED),
        (429, Outcome.NOT_SENT),
        (99999, Outcome.NOT_SENT),
    ],
)
def test_each_mail_has_its_own_code(code: int, outcome: Outcome) -> None:
    first, second, third = send(results(ok(0), {"ErrorCode": code, "Message": "why"}, ok(2)), count=3)
    assert (first.outcome, third.outcome) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert second.outcome is outcome
    assert second.detail == f"code {code}: why"


def test_no_code_means_accepted_or_unknown() -> None:
    assert not set(CODES.values()) & {Outcome.ACCEPTED, Outcome.AMBIGUOUS}


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (401, b'{"ErrorCode": 10, "Message": "bad token"}', Outcome.SENDER_REFUSED),
        (401, b"", Outcome.SENDER_REFUSED),
        (403, b"<html>", Outcome.SENDER_REFUSED),
        (404, b"<html>", Outcome.SENDER_REFUSED),
        (301, b"", Outcome.SENDER_REFUSED),
        (400, b"", Outcome.REFUSED),
        (413, b"", Outcome.REFUSED),
        (422, b'{"ErrorCode": 300, "Message": "invalid"}', Outcome.REFUSED),
        (422, b'{"ErrorCode": 412, "Message": "pending"}', Outcome.SENDER_REFUSED),
        (422, b'{"ErrorCode": 31337, "Message": "new"}', Outcome.REFUSED),
        (429, b'{"ErrorCode": 429, "Message": "slow down"}', Outcome.NOT_SENT),
        (429, b'{"ErrorCode": 300}', Outcome.NOT_SENT),
        (503, b'{"ErrorCode": 100, "Message": "maintenance"}', Outcome.NOT_SENT),
        (500, b'{"ErrorCode": 0}', Outcome.AMBIGUOUS),
        (502, b"<html>bad gateway", Outcome.AMBIGUOUS),
        (503, b"", Outcome.AMBIGUOUS),
        (504, b"", Outcome.AMBIGUOUS),
        (302, b"", Outcome.AMBIGUOUS),
        (202, b"[]", Outcome.AMBIGUOUS),
        (200, b"<html>proxy</html>", Outcome.AMBIGUOUS),
        (200, b'{"ErrorCode": 0}', Outcome.AMBIGUOUS),
        (200, b"", Outcome.AMBIGUOUS),
        (200, b"[]", Outcome.AMBIGUOUS),
        (200, b"[3]", Outcome.AMBIGUOUS),
        (200, b'[{"ErrorCode": "0"}]', Outcome.AMBIGUOUS),
        (200, b'[{"ErrorCode": 0, "Message": "OK"}]', Outcome.AMBIGUOUS),
        (200, b'[{"ErrorCode": 0, "MessageID": "x"', Outcome.AMBIGUOUS),
    ],
)
def test_each_answer_has_its_class(status: int, body: bytes, outcome: Outcome) -> None:
    (receipt,) = send(Answer(status, body))
    assert receipt.outcome is outcome
    assert receipt.detail


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        (
            {"Retry-After": "Fri, 02 Jan 2026 03:06:05 GMT", "Date": "Fri, 02 Jan 2026 03:04:05 GMT"},
            120,
        ),
        ({"Retry-After": "Fri, 02 Jan 2026 03:00:00 GMT", "Date": "Fri, 02 Jan 2026 03:04:05 GMT"}, 0),
        ({"Retry-After": "Fri, 02 Jan 2026 03:06:05 GMT"}, 60),
        ({"Retry-After": "Fri, 02 Jan 2026 03:06:05", "Date": "Fri, 02 Jan 2026 03:04:05 GMT"}, 60),
        ({}, 60),
        ({"Retry-After": "99999999999999999999"}, 3600),
        ({"Retry-After": "-5"}, 60),
        ({"Retry-After": "soon"}, 60),
        ({"Retry-After": "1e9"}, 60),
    ],
)
def test_rate_limit_waits_as_long_as_it_is_told(headers: dict[str, str], seconds: float) -> None:
    receipts = send(Answer(429, b"", headers), count=2)
    assert {receipt.outcome for receipt in receipts} == {Outcome.NOT_SENT}
    assert {receipt.retry_after for receipt in receipts} == {seconds}


def test_only_a_rate_limit_waits_without_being_told_how_long() -> None:
    (receipt,) = send(Answer(503, b""), count=1)
    assert receipt.retry_after is None


def test_after_a_rate_limit_or_a_bad_token_the_rest_is_not_tried() -> None:
    for status, outcome in ((429, Outcome.NOT_SENT), (401, Outcome.SENDER_REFUSED)):
        with http_server(Answer(status)) as server, postmark(server.url) as provider:
            receipts = provider.send(mails(1001), seconds=30)
        assert {receipt.outcome for receipt in receipts} == {outcome}
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(cut=True),
        Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n[{"),
        Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{"),
        Answer(raw=b"220 this is no HTTP\r\n\r\n"),
        Answer(200, b"not gzip", {"Content-Encoding": "gzip"}),
    ],
)
def test_answer_that_breaks_off_is_ambiguous(answer: Answer) -> None:
    (receipt,) = send(answer)
    assert receipt.outcome is Outcome.AMBIGUOUS
    assert receipt.detail.startswith("no answer from 127.0.0.1:")


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(drip=True)])
def test_answer_that_never_ends_is_ambiguous_at_the_deadline(answer: Answer) -> None:
    began = time.monotonic()
    (receipt,) = send(answer, seconds=0.2)
    assert receipt.outcome is Outcome.AMBIGUOUS
    assert "timed out" in receipt.detail
    assert time.monotonic() - began < 2


def test_unreachable_postmark_is_not_sent() -> None:
    port = free_port()
    with postmark(f"http://127.0.0.1:{port}") as provider:
        receipts = provider.send(mails(2), seconds=5)
    assert {receipt.outcome for receipt in receipts} == {Outcome.NOT_SENT}
    assert receipts[0].detail == f"cannot reach 127.0.0.1:{port}: Connection refused"


def test_tls_that_fails_is_not_sent() -> None:
    with http_server(postmark_takes) as server, postmark(server.url.replace("http:", "https:")) as provider:
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.NOT_SENT
    assert server.requests == []


def test_mail_that_spoils_its_batch_is_found_and_the_others_go() -> None:
    def picky(posted: list[dict[str, object]]) -> Answer:
        if any("ann3@" in str(item["To"]) for item in posted):
            return Answer(422, b'{"ErrorCode": 403, "Message": "cannot read this"}')
        return postmark_takes(posted)

    with http_server(picky) as server, postmark(server.url) as provider:
        receipts = provider.send(mails(8), seconds=5)
    assert [receipt.id for receipt in receipts if receipt.outcome is Outcome.ACCEPTED] == [1, 2, 3, 5, 6, 7, 8]
    assert receipts[3].outcome is Outcome.REFUSED
    assert len(server.requests) == 7


# --- a request each ---------------------------------------------------------------------------------------------------


def takes_one(posted: dict[str, object]) -> Answer:
    """Answer as Postmark does to one mail."""
    if "ann1@" in str(posted["To"]):
        return Answer(422, b'{"ErrorCode": 406, "Message": "inactive"}')
    body = {"ErrorCode": 0, "Message": "OK", "MessageID": f"pm-{posted['To']}", "To": posted["To"]}
    return Answer(body=json.dumps(body).encode())


def test_batch_of_one_is_a_request_for_each_mail() -> None:
    with http_server(takes_one) as server, postmark(server.url, batch=1, connections=2) as provider:  # type: ignore[arg-type]
        receipts = provider.send(mails(5), seconds=5)
    accepted, refused = Outcome.ACCEPTED, Outcome.REFUSED
    assert [receipt.outcome for receipt in receipts] == [accepted, refused, accepted, accepted, accepted]
    assert receipts[4].provider_id == 'pm-"Ann" <ann4@example.com>'
    assert len(server.requests) == 5
    assert {headers["x-postmark-server-token"] for headers, _ in server.requests} == {"hush-hush"}


def test_requests_for_each_mail_go_over_all_connections_at_once() -> None:
    together = threading.Barrier(3, timeout=5)

    def meet(posted: dict[str, object]) -> Answer:
        together.wait()
        return takes_one(posted)

    with http_server(meet) as server, postmark(server.url, batch=1, connections=3) as provider:  # type: ignore[arg-type]
        receipts = provider.send(mails(3), seconds=5)
    assert [receipt.outcome is Outcome.ACCEPTED for receipt in receipts] == [True, False, True]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(429, b"", {"Retry-After": "30"}), Outcome.NOT_SENT),
        (Answer(401, b'{"ErrorCode": 10, "Message": "bad token"}'), Outcome.SENDER_REFUSED),
    ],
)
def test_what_is_about_all_mail_stops_requests_for_each(answer: Answer, outcome: Outcome) -> None:
    with http_server(answer) as server, postmark(server.url, batch=1, connections=1) as provider:
        receipts = provider.send(mails(4), seconds=5)
    assert [(receipt.id, receipt.outcome) for receipt in receipts] == [(number, outcome) for number in range(1, 5)]
    assert len(server.requests) == 1


def test_answer_that_breaks_off_is_ambiguous_for_that_mail_alone() -> None:
    fine = Answer(body=b'{"ErrorCode": 0, "MessageID": "x"}')
    with http_server(fine, Answer(cut=True), fine) as server, postmark(server.url, batch=1, connections=1) as provider:
        receipts = provider.send(mails(4), seconds=5)
    accepted, ambiguous = Outcome.ACCEPTED, Outcome.AMBIGUOUS
    assert [receipt.outcome for receipt in receipts] == [accepted, ambiguous, accepted, accepted]
    assert receipts[1].detail.startswith("no answer from 127.0.0.1:")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"ErrorCode": 0}', Outcome.AMBIGUOUS),
        (200, b'[{"ErrorCode": 0, "MessageID": "x"}]', Outcome.AMBIGUOUS),
        (200, b"<html>proxy</html>", Outcome.AMBIGUOUS),
        (500, b'{"ErrorCode": 0}', Outcome.AMBIGUOUS),
        (422, b'{"ErrorCode": 300, "Message": "invalid"}', Outcome.REFUSED),
        (404, b"<html>", Outcome.SENDER_REFUSED),
    ],
)
def test_each_answer_to_one_mail_has_its_class(status: int, body: bytes, outcome: Outcome) -> None:
    with http_server(Answer(status, body)) as server, postmark(server.url, batch=1) as provider:
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is outcome


def test_unreachable_server_has_its_reason_for_each_mail() -> None:
    port = free_port()
    with postmark(f"http://127.0.0.1:{port}", batch=1) as provider:
        receipts = provider.send(mails(2), seconds=5)
    assert {receipt.outcome for receipt in receipts} == {Outcome.NOT_SENT}
    assert {receipt.detail for receipt in receipts} == {f"cannot reach 127.0.0.1:{port}: Connection refused"}


# --- results of a batch -----------------------------------------------------------------------------------------------


def outcomes(items: list[dict[str, object]], count: int = 3) -> list[tuple[Outcome, str | None]]:
    receipts = parse(Response(200, body=json.dumps(items).encode()), mails(count))
    return [(receipt.outcome, receipt.provider_id) for receipt in receipts]


def test_fewer_results_are_matched_by_address_and_the_rest_is_ambiguous() -> None:
    assert outcomes([ok(2), {"ErrorCode": 406, "Message": "inactive"}]) == [
        (Outcome.AMBIGUOUS, None),
        (Outcome.AMBIGUOUS, None),
        (Outcome.ACCEPTED, "pm-2"),
    ]


def test_shuffled_and_extra_results_are_matched_by_address() -> None:
    shuffled = [ok(2), ok(0), ok(1, To='"Ann" <Ann1@example.com>')]
    wanted = [(Outcome.ACCEPTED, f"pm-{number}") for number in range(3)]
    assert outcomes(shuffled) == wanted
    assert outcomes([*shuffled, ok(9)]) == wanted


def test_results_that_name_an_address_twice_prove_nothing() -> None:
    assert outcomes([ok(0), ok(0), ok(1), ok(2)])[0] == (Outcome.AMBIGUOUS, None)


def test_lookalike_numbers_of_results_without_addresses_keep_their_order() -> None:
    items: list[dict[str, object]] = [ok(0), {"ErrorCode": 406, "Message": "inactive"}, ok(2)]
    assert [outcome for outcome, _ in outcomes(items)] == [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.ACCEPTED]


@pytest.mark.parametrize(
    ("options", "secrets", "message"),
    [
        ({}, {}, "set the environment variable NURTURE_POSTMARK_TOKEN"),
        ({"base_url": "api.postmarkapp.com"}, TOKEN, "is not a base URL"),
        ({"stream": {"marketting": "x"}}, TOKEN, "knows marketing, personal"),
        ({}, {"NURTURE_POSTMARK_TOKEN": "hush\u00e9"}, "copy it again"),
        (
            {"url": "x"},
            TOKEN,
            "`url` in .* is not an option: there are base_url, batch, connections, stream, token_env",
        ),
    ],
)
def test_wrong_options_say_what_to_do(options: dict[str, object], secrets: dict[str, str], message: str) -> None:
    with pytest.raises(ProviderError, match=message) as caught:
        load("postmark", options, folder=Path(), secrets=secrets)
    assert "hush" not in str(caught.value)
