"""SMTP: what is certain at each point of the conversation, and what is not."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult
from hypothesis import given
from hypothesis import strategies as st

from nurture.errors import ProviderError
from nurture.mail.wire import tamed, to_bytes
from nurture.providers.base import Outcome, Provider, load
from nurture.providers.smtp.letter import stuff, write
from tests.providers.servers import (
    CUT,
    DATA,
    DRIP,
    HANG,
    Postbox,
    free_port,
    line_server,
    mails,
    smtp_server,
)

TLS = DATA / "tls"
PASSWORD = {"NURTURE_SMTP_PASSWORD": "hush-hush"}


@contextmanager
def smtp(port: int, secrets: Mapping[str, str] = PASSWORD, **options: object) -> Iterator[Provider]:
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "connections": 1, **options}
    provider = load("smtp", settings, folder=TLS, secrets=secrets)
    try:
        yield provider
    finally:
        provider.close()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.pem", TLS / "localhost.key")
    return context


def test_mail_arrives_as_it_was_written() -> None:
    box = Postbox()
    (mail,) = mails(text="Grüße\n.\n..dots\nFrom x\n")
    with smtp_server(box, decode_data=False) as (port, _), smtp(port) as provider:
        (receipt,) = provider.send([mail], seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED
    assert receipt.provider_id == "Q1"
    assert box.mails == [("rep@acme.example", "ann0@example.com", to_bytes(mail))]
    assert "BODY=8BITMIME" in box.mail_options[0]


def test_connection_is_kept_across_mails_and_groups() -> None:
    box = Postbox()
    with smtp_server(box) as (port, made), smtp(port) as provider:
        provider.send(mails(5), seconds=5)
        provider.send(mails(5), seconds=5)
        assert len(box.mails) == 10
        assert len(made) == 1


def test_group_is_spread_over_connections() -> None:
    together = threading.Barrier(3, timeout=5)

    class Box(Postbox):
        async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
            await asyncio.to_thread(together.wait)
            return await super().handle_DATA(server, session, envelope)

    with smtp_server(Box()) as (port, _), smtp(port, connections=3) as provider:
        receipts = provider.send(mails(3), seconds=5)
    assert [receipt.outcome for receipt in receipts] == [Outcome.ACCEPTED] * 3


def test_one_refused_recipient_leaves_the_others_alone() -> None:
    box = Postbox()
    box.refuse_rcpt["ann1@example.com"] = "550 5.1.1 no such user"
    box.refuse_rcpt["ann2@example.com"] = "451 4.2.1 greylisted"
    box.refuse_mail["ann3@example.com"] = "554 5.7.1 spam"
    box.refuse_mail["ann4@example.com"] = "452 4.3.1 disk full"
    with smtp_server(box) as (port, made), smtp(port) as provider:
        receipts = provider.send(mails(6), seconds=5)
        assert len(made) == 1
    assert [receipt.outcome for receipt in receipts] == [
        Outcome.ACCEPTED,
        Outcome.REFUSED,
        Outcome.NOT_SENT,
        Outcome.REFUSED,
        Outcome.NOT_SENT,
        Outcome.ACCEPTED,
    ]
    assert receipts[1].detail == "RCPT TO: 550 5.1.1 no such user"
    assert receipts[3].detail == "the mail: 554 5.7.1 spam"


PLAIN = b"250-me\r\n250 8BITMIME"
PIPELINED = b"250-me\r\n250-PIPELINING\r\n250 8BITMIME"
both = pytest.mark.parametrize("ehlo", [PLAIN, PIPELINED], ids=["plain", "pipelined"])


@both
@pytest.mark.parametrize(
    ("where", "reply", "outcome"),
    [
        ("connect", b"554 go away", Outcome.NOT_SENT),
        ("connect", b"421 too busy", Outcome.NOT_SENT),
        ("connect", b"SSH-2.0-OpenSSH", Outcome.NOT_SENT),
        ("connect", CUT, Outcome.NOT_SENT),
        ("connect", HANG, Outcome.NOT_SENT),
        ("connect", DRIP, Outcome.NOT_SENT),
        ("EHLO", b"550 no", Outcome.NOT_SENT),
        ("EHLO", CUT, Outcome.NOT_SENT),
        ("MAIL", b"451 later", Outcome.NOT_SENT),
        ("MAIL", b"550 5.7.1 you may not", Outcome.SENDER_REFUSED),
        ("MAIL", b"530 log in first", Outcome.SENDER_REFUSED),
        ("MAIL", b"552 too large", Outcome.REFUSED),
        ("MAIL", CUT, Outcome.NOT_SENT),
        ("MAIL", DRIP, Outcome.NOT_SENT),
        ("RCPT", b"450 later", Outcome.NOT_SENT),
        ("RCPT", b"550 unknown", Outcome.REFUSED),
        ("RCPT", b"530 log in first", Outcome.SENDER_REFUSED),
        ("RCPT", b"421 closing", Outcome.NOT_SENT),
        ("RCPT", CUT, Outcome.NOT_SENT),
        ("RCPT", HANG, Outcome.NOT_SENT),
        ("DATA", b"451 later", Outcome.NOT_SENT),
        ("DATA", b"554 no valid recipients", Outcome.REFUSED),
        ("DATA", CUT, Outcome.NOT_SENT),
        (".", b"451 later", Outcome.NOT_SENT),
        (".", b"421 closing", Outcome.NOT_SENT),
        (".", b"550 spam", Outcome.REFUSED),
        (".", b"552 too large", Outcome.REFUSED),
        (".", b"354 what", Outcome.AMBIGUOUS),
        (".", b"garbage", Outcome.AMBIGUOUS),
        (".", b"999 what", Outcome.AMBIGUOUS),
        (".", b"250-half", Outcome.AMBIGUOUS),
        (".", CUT, Outcome.AMBIGUOUS),
        (".", HANG, Outcome.AMBIGUOUS),
        (".", DRIP, Outcome.AMBIGUOUS),
    ],
)
def test_each_point_of_the_conversation_has_its_class(where: str, reply: bytes, outcome: Outcome, ehlo: bytes) -> None:
    seconds = 0.25 if reply in {HANG, DRIP, b"250-half"} else 10
    began = time.monotonic()
    with line_server({"EHLO": ehlo, where: reply}) as (port, _), smtp(port) as provider:
        (receipt,) = provider.send(mails(), seconds=seconds)
        assert time.monotonic() - began < seconds + 2
    assert receipt.outcome is outcome
    assert receipt.detail


def test_connection_lost_inside_the_mail_is_not_sent() -> None:
    (mail,) = mails(text="a line\n" * 1_000_000)
    with line_server({"body": CUT}) as (port, heard), smtp(port) as provider:
        (receipt,) = provider.send([mail], seconds=5)
    assert "." not in heard
    assert receipt.outcome is Outcome.NOT_SENT
    assert "before the mail was over" in receipt.detail


def test_mail_above_the_servers_size_is_refused() -> None:
    with smtp_server(Postbox(), data_size_limit=1000) as (port, _), smtp(port) as provider:
        (receipt,) = provider.send(mails(text="a line\n" * 1000), seconds=5)
    assert receipt.outcome is Outcome.REFUSED
    assert "552" in receipt.detail


@both
def test_refused_mail_with_the_next_envelope_behind_it_is_refused_alone(ehlo: bytes) -> None:
    with (
        line_server({"EHLO": ehlo, ".": [b"250 ok", b"451 later", b"250 ok"]}) as (port, heard),
        smtp(port) as provider,
    ):
        receipts = provider.send(mails(4), seconds=5)
    accepted, not_sent = Outcome.ACCEPTED, Outcome.NOT_SENT
    assert [receipt.outcome for receipt in receipts] == [accepted, not_sent, accepted, accepted]
    assert heard.count("EHLO") == 1


@both
def test_one_connection_carries_all_where_the_server_allows_no_second(ehlo: bytes) -> None:
    script = {"EHLO": ehlo, "connect": [b"220 hi", b"421 too many connections"]}
    with line_server(script) as (port, heard), smtp(port, connections=3) as provider:  # type: ignore[arg-type]
        receipts = provider.send(mails(6), seconds=5)
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert heard.count("EHLO") == 1


def test_large_mails_go_through_in_pieces() -> None:
    large = mails(3, text="a line of no importance\n" * 60_000)
    box = Postbox()
    with smtp_server(box, decode_data=False) as (port, _), smtp(port) as provider:
        receipts = provider.send(large, seconds=20)
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert [mail[2] for mail in box.mails] == [to_bytes(mail) for mail in large]


def test_large_mails_go_through_tls_in_pieces() -> None:
    large = mails(2, text="a line of no importance\n" * 40_000)
    box = Postbox()
    with (
        smtp_server(box, implicit_tls=server_context(), decode_data=False) as (port, _),
        smtp(port, host="localhost", security="tls", ca_file="localhost.pem") as provider,
    ):
        receipts = provider.send(large, seconds=20)
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert [mail[2] for mail in box.mails] == [to_bytes(mail) for mail in large]


@both
def test_after_421_the_next_mail_takes_a_new_connection(ehlo: bytes) -> None:
    with (
        line_server({"EHLO": ehlo, "MAIL": [b"250 ok", b"421 enough", b"250 ok"]}) as (port, heard),
        smtp(port) as provider,
    ):
        receipts = provider.send(mails(3), seconds=5)
    assert [receipt.outcome for receipt in receipts] == [Outcome.ACCEPTED] * 3
    assert heard.count("EHLO") == 2
    assert heard.count(".") == 3


@both
def test_kept_connection_that_died_is_replaced(ehlo: bytes) -> None:
    with line_server({"EHLO": ehlo, "RSET": CUT}) as (port, heard), smtp(port) as provider:
        provider.send(mails(), seconds=5)
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED
    assert heard.count("EHLO") == 2


@both
def test_ambiguous_mail_is_not_tried_again(ehlo: bytes) -> None:
    with line_server({"EHLO": ehlo, ".": [b"250 ok", CUT, b"250 ok"]}) as (port, heard), smtp(port) as provider:
        receipts = provider.send(mails(3), seconds=5)
    assert [receipt.outcome for receipt in receipts] == [Outcome.ACCEPTED, Outcome.AMBIGUOUS, Outcome.ACCEPTED]
    assert heard.count(".") == 3


def test_unreachable_server_is_named_with_the_reason() -> None:
    port = free_port()
    with smtp(port) as provider:
        receipts = provider.send(mails(3), seconds=5)
    assert {receipt.outcome for receipt in receipts} == {Outcome.NOT_SENT}
    assert {receipt.detail for receipt in receipts} == {f"cannot reach 127.0.0.1:{port}: Connection refused"}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".example"])
def test_unknown_host_is_a_receipt_and_no_exception(host: str) -> None:
    with smtp(25, host=host) as provider:
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.NOT_SENT
    assert receipt.detail.startswith(f"cannot reach {host[:20]}")


@both
def test_mails_after_the_deadline_are_not_sent(ehlo: bytes) -> None:
    with line_server({"EHLO": ehlo, ".": [b"250 ok", HANG]}) as (port, _), smtp(port) as provider:
        receipts = provider.send(mails(4), seconds=0.5)
    assert [receipt.outcome for receipt in receipts] == [
        Outcome.ACCEPTED,
        Outcome.AMBIGUOUS,
        Outcome.NOT_SENT,
        Outcome.NOT_SENT,
    ]
    assert "the time was over" in receipts[3].detail


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_with_a_trusted_certificate(security: str) -> None:
    box = Postbox()
    context = server_context()
    how = {"implicit_tls": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    with (
        smtp_server(box, **how) as (port, _),  # type: ignore[arg-type]
        smtp(port, host="localhost", security=security, ca_file="localhost.pem") as provider,
    ):
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_untrusted_certificate_stops_the_mail(security: str) -> None:
    box = Postbox()
    context = server_context()
    how = {"implicit_tls": context} if security == "tls" else {"tls_context": context}
    with (
        smtp_server(box, **how) as (port, _),  # type: ignore[arg-type]
        smtp(port, host="localhost", security=security) as provider,
    ):
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.NOT_SENT
    assert "certificate" in receipt.detail
    assert box.mails == []


def test_server_without_starttls_gets_nothing() -> None:
    box = Postbox()
    with smtp_server(box) as (port, _), smtp(port, security="starttls") as provider:
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.NOT_SENT
    assert "does not offer STARTTLS" in receipt.detail
    assert box.mails == []


def test_words_injected_before_the_handshake_are_refused() -> None:
    script = {"EHLO": b"250-me\r\n250 STARTTLS", "STARTTLS": b"220 go\r\n250 injected"}
    with line_server(script) as (port, _), smtp(port, security="starttls") as provider:  # type: ignore[arg-type]
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.NOT_SENT
    assert "before the TLS handshake" in receipt.detail


@pytest.mark.parametrize(("password", "outcome"), [("hush-hush", Outcome.ACCEPTED), ("no", Outcome.SENDER_REFUSED)])
@pytest.mark.parametrize("excluded", [["LOGIN"], ["PLAIN"]])
def test_login(password: str, outcome: Outcome, excluded: list[str]) -> None:
    def authenticator(server: object, session: object, envelope: object, mechanism: str, data) -> AuthResult:
        return AuthResult(success=data.login == b"me" and data.password == b"hush-hush", handled=False)

    box = Postbox()
    how = {"authenticator": authenticator, "auth_required": True, "tls_context": server_context()}
    tls = {"host": "localhost", "security": "starttls", "ca_file": "localhost.pem"}
    with (
        smtp_server(box, auth_exclude_mechanism=excluded, **how) as (port, _),  # type: ignore[arg-type]
        smtp(port, {"NURTURE_SMTP_PASSWORD": password}, username="me", **tls) as provider,
    ):
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is outcome
    assert password not in receipt.detail


@pytest.mark.parametrize(("reply", "outcome"), [(b"535 no", Outcome.SENDER_REFUSED), (b"454 later", Outcome.NOT_SENT)])
def test_failed_login_is_about_the_sender(reply: bytes, outcome: Outcome) -> None:
    script: dict[str, bytes | list[bytes]] = {"EHLO": b"250-me\r\n250 AUTH PLAIN", "AUTH": reply}
    with line_server(script) as (port, heard), smtp(port, username="me") as provider:
        receipts = provider.send(mails(2), seconds=5)
    assert {receipt.outcome for receipt in receipts} == {outcome}
    assert "MAIL" not in heard


def test_server_without_a_known_login_is_about_the_sender() -> None:
    with line_server({"EHLO": b"250-me\r\n250 AUTH GSSAPI"}) as (port, _), smtp(port, username="me") as provider:
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.SENDER_REFUSED


def test_server_without_8bitmime_gets_seven_bits() -> None:
    class Old(Postbox):
        async def handle_EHLO(self, server, session, envelope, hostname, responses) -> list[str]:  # noqa: N802
            session.host_name = hostname
            return [response for response in responses if "8BITMIME" not in response and "SMTPUTF8" not in response]

    box = Old()
    (mail,) = mails(text="Grüße\n")
    with smtp_server(box, decode_data=False) as (port, _), smtp(port) as provider:
        (receipt,) = provider.send([mail], seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED
    ((_, _, octets),) = box.mails
    assert octets.isascii()
    part = message_from_bytes(octets, policy=policy.default).get_body(("plain",))  # type: ignore[attr-defined]
    assert part.get_content() == "Grüße\r\n"
    assert not any("BODY" in option for option in box.mail_options[0])


def test_non_ascii_local_part_goes_over_smtputf8_only() -> None:
    mail = replace(mails()[0], to_address="jürgen@example.com")
    box = Postbox()
    with smtp_server(box, enable_SMTPUTF8=True) as (port, _), smtp(port) as provider:
        assert provider.send([mail], seconds=5)[0].outcome is Outcome.ACCEPTED
    assert "SMTPUTF8" in box.mail_options[0]
    with smtp_server(Postbox()) as (port, _), smtp(port) as provider:
        (receipt,) = provider.send([mail], seconds=5)
    assert receipt.outcome is Outcome.REFUSED
    assert "SMTPUTF8" in receipt.detail


def test_server_that_only_knows_helo() -> None:
    with line_server({"EHLO": b"502 what", "HELO": b"250 hi"}) as (port, heard), smtp(port) as provider:
        (receipt,) = provider.send(mails(), seconds=5)
    assert receipt.outcome is Outcome.ACCEPTED
    assert heard[:2] == ["EHLO", "HELO"]


def test_batch_follows_what_the_connections_carry() -> None:
    with smtp_server(Postbox()) as (port, _), smtp(port) as provider:
        assert provider.batch == 20
        for _ in range(3):
            provider.send(mails(20), seconds=5)
        assert 20 < provider.batch <= 500


TAME_LINES = st.lists(st.sampled_from([".", "..x", "x.", "", "y", "é", "é" * 600, "x." * 600]), max_size=4)


@given(TAME_LINES, TAME_LINES, st.sampled_from([(), ("8BITMIME",), ("8BITMIME", "SIZE")]), st.booleans())
def test_of_a_tame_mail_the_same_leaves_as_of_any_other(
    text: list[str], html: list[str], extensions: tuple[str, ...], hashed: bool
) -> None:
    plain = replace(mails()[0], text="\n".join(text), html="\n".join(html))
    undotted = not any(line.startswith(".") for line in (*text, *html))
    tame = tamed(replace(plain), undotted=undotted)
    if hashed:
        to_bytes(tame)
    ours, expected = write(tame, extensions), write(plain, extensions)
    assert (ours.mail, ours.rcpt, ours.body) == (expected.mail, expected.rcpt, expected.body)


@given(st.lists(st.sampled_from([b".", b"..", b"x.", b"", b".x", b"y"]), max_size=8))
def test_no_line_of_a_mail_ends_it(lines: list[bytes]) -> None:
    octets = b"".join(line + b"\r\n" for line in lines)
    stuffed = stuff(octets)
    assert b".\r\n" not in stuffed.split(b"\r\n")
    read = [line[1:] if line.startswith(b".") else line for line in stuffed.split(b"\r\n")]
    assert b"\r\n".join(read) == octets
    assert not any(line == b"." for line in stuffed.split(b"\r\n"))


@pytest.mark.parametrize(
    ("options", "secrets", "message"),
    [
        ({}, {}, "has no host"),
        ({"host": "mx", "username": "me"}, {}, "NURTURE_SMTP_PASSWORD"),
        ({"host": "mx", "username": "me", "password_env": "OTHER"}, PASSWORD, "OTHER"),
        ({"host": "mx", "username": "me", "security": "none"}, PASSWORD, "clear text"),
        ({"host": "mx", "security": "ssl"}, {}, "starttls, tls, none"),
        ({"host": "mx", "port": "25"}, {}, "`port`"),
        ({"host": "mx", "connections": 0}, {}, "`connections`"),
        ({"host": "mx", "usernme": "me"}, {}, "did you mean 'username'"),
        ({"host": "mx", "ca_file": "none.pem"}, {}, "`ca_file`"),
    ],
)
def test_wrong_options_say_what_to_do(
    options: dict[str, object], secrets: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProviderError, match=message) as caught:
        load("smtp", options, folder=tmp_path, secrets=secrets)
    assert "hush-hush" not in str(caught.value)
