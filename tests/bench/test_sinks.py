"""What benchmark mail ends in takes everything, counts it right, and answers as a server would."""

from __future__ import annotations

import json
import smtplib
import urllib.request
from collections.abc import Iterator

import pytest

from bench.sinks import SLOW, Sink, build, sink

HAS_COMPILER = build() is not None


@pytest.fixture(params=["c", "python"])
def python(request: pytest.FixtureRequest) -> bool:
    if request.param == "c" and not HAS_COMPILER:
        pytest.skip("there is no C compiler")
    return bool(request.param == "python")


@pytest.fixture
def smtp(python: bool) -> Iterator[Sink]:
    with sink("smtp", python=python) as running:
        assert running.note == (SLOW if python else "")
        yield running


@pytest.fixture
def http(python: bool) -> Iterator[Sink]:
    with sink("http", python=python) as running:
        yield running


def test_mail_is_counted(smtp: Sink) -> None:
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        for body in ("", ".", "x" * 300_000 + "\r\n", "a\r\n..\r\nb\r\n"):
            client.sendmail("a@acme.example", ["b@acme.example"], body)
        assert client.has_extn("pipelining")
        assert smtp.counts().mails == 4
        assert smtp.counts().octets > 300_000


def test_commands_in_one_write_are_each_answered(smtp: Sink) -> None:
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.ehlo()
        client.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        assert [client.getreply()[0] for _ in range(3)] == [250, 250, 354]
        client.send(b"x\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        assert [client.getreply()[0] for _ in range(4)] == [250, 250, 250, 354]
        client.send(b".\r\n")
        assert client.getreply()[0] == 250
    assert smtp.counts().mails == 2


def test_each_mail_of_a_batch_has_its_result(http: Sink) -> None:
    items = [{"From": "a", "To": "b", "HtmlBody": '{"From": ' + "x" * 5_000} for _ in range(300)]
    results = post(http, "/email/batch", items)
    assert len(results) == 300
    assert len({result["MessageID"] for result in results}) == 300
    assert {result["ErrorCode"] for result in results} == {0}
    assert http.counts().mails == 300


def test_single_mail_has_one_result(http: Sink) -> None:
    assert post(http, "/email", {"From": "a"})["ErrorCode"] == 0
    assert http.counts().mails == 1


def post(http: Sink, path: str, body: object):  # type: ignore[no-untyped-def]
    request = urllib.request.Request(
        f"{http.endpoint}{path}", json.dumps(body, separators=(",", ":")).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)
