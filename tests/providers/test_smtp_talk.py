"""Pipelined SMTP against a server that answers as it likes: each mail gets what its own replies mean, at every cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.mail.wire import Outgoing
from nurture.providers.base import Deadline, Outcome
from nurture.providers.lines import Lost
from nurture.providers.smtp.talk import Sending, Talk
from tests.providers.servers import mails

PIPELINED = {"PIPELINING": "", "8BITMIME": ""}
PLAIN = {"8BITMIME": ""}

ACCEPTED, NOT_SENT, REFUSED = Outcome.ACCEPTED, Outcome.NOT_SENT, Outcome.REFUSED
AMBIGUOUS, SENDER_REFUSED = Outcome.AMBIGUOUS, Outcome.SENDER_REFUSED


@dataclass
class Server:
    """Answers by the number of the mail: `replies[n]` maps MAIL, RCPT, DATA or `.` to what is not the usual reply.

    A lax server goes on to the mail although it refused the recipient. It hears the first `hears` octets and says the
    first `says`. `took` are the mails whose end it heard and did not refuse, `empty` counts mails without a line.
    """

    replies: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    lax: bool = False
    hears: int = 1 << 30
    says: int = 1 << 30
    took: list[int] = field(default_factory=list)
    empty: int = 0
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.number = -1
        self.stands = {"MAIL": False, "RCPT": False}
        self.in_mail = False
        self.lines_of_mail = 0
        self.unread = b""
        self.over = False

    def hear(self, octets: bytes) -> bytes:
        octets, self.hears = octets[: self.hears], max(0, self.hears - len(octets))
        self.unread += octets
        *lines, self.unread = self.unread.split(b"\r\n")
        said = b"".join(f"{reply}\r\n".encode() for line in lines if (reply := self.answer(line.decode())))
        said, self.says = said[: self.says], max(0, self.says - len(said))
        return said

    def answer(self, line: str) -> str:
        if self.over:
            return ""
        if self.in_mail and line != ".":
            self.lines_of_mail += 1
            return ""
        word = line.partition(" ")[0]
        self.heard.append(word)
        if word == "MAIL":
            self.number = int(line.partition("<rep")[2].partition("@")[0])
        reply = self.reply(word)
        self.over = reply.startswith("421")
        return reply

    def reply(self, word: str) -> str:
        scripted = self.replies.get(self.number, {}).get(word)
        match word:
            case "MAIL":
                assert not any(self.stands.values()), "a mail was begun inside another"
                self.stands["MAIL"] = yes(scripted or "250 ok")
                return scripted or "250 ok"
            case "RCPT":
                reply = scripted or ("250 ok" if self.stands["MAIL"] else "503 bad sequence")
                self.stands["RCPT"] = yes(reply)
                return reply
            case "DATA":
                reply = scripted or ("354 go" if self.lax or all(self.stands.values()) else "503 bad sequence")
                self.in_mail, self.lines_of_mail = reply.startswith("3"), 0
                return reply
            case ".":
                return self.end(scripted)
            case "RSET":
                self.stands = {"MAIL": False, "RCPT": False}
                return "250 reset"
        raise AssertionError(word)

    def end(self, scripted: str | None) -> str:
        meant = all(self.stands.values())
        self.in_mail, self.stands = False, {"MAIL": False, "RCPT": False}
        self.empty += self.lines_of_mail == 0
        reply = scripted or ("250 queued as Q" if meant else "554 no valid recipients")
        if yes(reply) and meant:
            self.took.append(self.number)
        return reply


def yes(reply: str) -> bool:
    return reply.startswith("2")


def group(count: int) -> list[Outgoing]:
    return [
        replace(mail, id=number, from_address=f"rep{number}@acme.example") for number, mail in enumerate(mails(count))
    ]


def talk_to(
    server: Server, sending: Sending, extensions: Mapping[str, str] = PIPELINED, piece: int = 1 << 30, gone: int = 0
) -> Talk:
    """Send over one connection until it is done or lost; `gone` octets more than the server heard may have left."""
    talk = Talk(extensions, quit_)
    words, said, heard = talk.begin(sending), 0, 0
    try:
        while talk.busy:
            said += len(words)
            hears = server.hears
            replies = server.hear(words)
            heard += min(hears, len(words))
            if not replies:
                raise Lost("cut")
            words = b"".join(talk.hear(replies[at : at + piece]) for at in range(0, len(replies), piece))
    except Lost as error:
        talk.lost(min(said, heard + gone), str(error))
    return talk


def quit_(deadline: Deadline) -> None:
    """Say nothing."""


def outcomes(sending: Sending) -> dict[int, Outcome]:
    return {key: receipt.outcome for key, receipt in sorted(sending.receipts.items())}


REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "MAIL": st.sampled_from(["451 later", "550 no", "552 too large", "530 log in"]),
        "RCPT": st.sampled_from(["450 later", "550 unknown", "251 forwards", "530 log in"]),
        "DATA": st.sampled_from(["451 later", "554 no"]),
        ".": st.sampled_from(["451 later", "550 spam", "552 too large", "250 ok", "250 queued as X"]),
    },
)
SCRIPTS = st.dictionaries(st.integers(0, 5), REPLIES, max_size=4)


@given(SCRIPTS, st.booleans(), st.integers(1, 60))
def test_pipelining_ends_each_mail_as_the_plain_way_does(
    script: dict[int, dict[str, str]], lax: bool, piece: int
) -> None:
    plain, fast = Sending(group(6)), Sending(group(6))
    over: list[int] = []
    for sending, extensions in ((plain, PLAIN), (fast, PIPELINED)):
        while sending.waiting():
            server = Server(script, lax=lax)
            talk_to(server, sending, extensions, piece)
            assert server.empty == 0 or (lax and extensions is PIPELINED)
            over += server.took
    assert outcomes(fast) == outcomes(plain)
    assert sorted(over[len(over) // 2 :]) == sorted(over[: len(over) // 2])


@given(
    SCRIPTS, st.booleans(), st.sampled_from([PLAIN, PIPELINED]), st.integers(0, 4000), st.integers(0, 900), st.data()
)
def test_wherever_the_connection_breaks_no_mail_is_lost_or_twice(
    script: dict[int, dict[str, str]], lax: bool, extensions: dict[str, str], hears: int, says: int, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from([0, 1, 10, 1 << 20]))
    sending = Sending(group(6))
    cut = Server(script, lax=lax, hears=hears, says=says)
    talk_to(cut, sending, extensions, gone=gone)
    first = outcomes(sending)
    assert list(first.values()).count(AMBIGUOUS) <= 1
    for number in cut.took:
        assert first[number] in {ACCEPTED, AMBIGUOUS}
    taken = list(cut.took)
    while sending.waiting():
        server = Server(script, lax=lax)
        talk_to(server, sending, extensions)
        taken += server.took
    ended = outcomes(sending)
    assert sorted(ended) == list(range(6))
    assert len(set(taken)) == len(taken)
    assert {number for number, outcome in ended.items() if outcome is ACCEPTED} <= set(taken)
    assert set(taken) <= {number for number, outcome in ended.items() if outcome in {ACCEPTED, AMBIGUOUS}}


def test_three_commands_are_one_write_and_the_next_group_follows_the_final_dot() -> None:
    sending = Sending(group(2))
    talk = Talk(PIPELINED, quit_)
    first = talk.begin(sending)
    assert [line.split(b" ")[0] for line in first.splitlines()] == [b"MAIL", b"RCPT", b"DATA"]
    second = talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert b"\r\n.\r\nMAIL FROM:<rep1@acme.example>" in second
    assert second.endswith(b"DATA\r\n")
    assert talk.hear(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n").endswith(b"\r\n.\r\n")
    assert talk.hear(b"250 ok\r\n") == b""
    assert not talk.busy
    assert outcomes(sending) == {0: ACCEPTED, 1: ACCEPTED}


def test_refusal_of_the_mail_leaves_the_envelope_behind_it_alone() -> None:
    for reply, outcome in (("451 4.3.0 later", NOT_SENT), ("550 5.7.1 spam", REFUSED)):
        server, sending = Server({1: {".": reply}}), Sending(group(3))
        talk_to(server, sending)
        assert outcomes(sending) == {0: ACCEPTED, 1: outcome, 2: ACCEPTED}
        assert server.took == [0, 2]


def test_refused_recipient_is_named_and_not_what_followed() -> None:
    server, sending = Server({1: {"RCPT": "550 5.1.1 unknown"}}), Sending(group(3))
    talk_to(server, sending)
    assert outcomes(sending) == {0: ACCEPTED, 1: REFUSED, 2: ACCEPTED}
    assert sending.receipts[1].detail == "RCPT TO: 550 5.1.1 unknown"
    assert server.heard.count("RSET") == 1


def test_mail_that_nobody_may_get_is_ended_empty() -> None:
    server, sending = Server({1: {"RCPT": "550 5.1.1 unknown"}}, lax=True), Sending(group(3))
    talk_to(server, sending)
    assert outcomes(sending) == {0: ACCEPTED, 1: REFUSED, 2: ACCEPTED}
    assert (server.took, server.empty) == ([0, 2], 1)


def test_connection_is_left_where_an_empty_mail_could_reach_somebody() -> None:
    refused_but_going_on = {1: {"MAIL": "451 later", "RCPT": "250 ok", "DATA": "354 go"}}
    server, sending = Server(refused_but_going_on), Sending(group(3))
    talk_to(server, sending)
    assert outcomes(sending) == {0: ACCEPTED}
    assert sending.waiting() == 2
    assert server.empty == 0


def test_drop_behind_the_final_dot_is_ambiguous_for_that_mail_alone() -> None:
    server, sending = Server({1: {".": "421 closing"}}), Sending(group(4))
    talk = Talk(PIPELINED, quit_)
    words, said = talk.begin(sending), 0
    for _ in range(2):
        said += len(words)
        words = talk.hear(server.hear(words))
    said += len(words)  # the second mail, and the envelope of the third
    talk.lost(said, "reset by peer")
    assert outcomes(sending) == {0: ACCEPTED, 1: AMBIGUOUS}
    assert sending.waiting() == 2


def test_octets_that_never_left_prove_that_a_mail_was_not_sent() -> None:
    for behind, outcome in ((0, NOT_SENT), (1, AMBIGUOUS)):
        sending = Sending(group(1))
        talk = Talk(PIPELINED, quit_)
        envelope = talk.begin(sending)
        body = talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
        talk.lost(len(envelope) + len(body) - 3 + behind, "reset by peer")
        assert outcomes(sending) == {0: outcome}


@pytest.mark.parametrize(("extensions", "replies"), [(PLAIN, [b"250 a", b"250 b"]), (PIPELINED, [b"250 a\r\n250 b"])])
def test_reply_out_of_turn_is_never_taken_for_a_later_one(extensions: dict[str, str], replies: list[bytes]) -> None:
    sending = Sending(group(1))
    talk = Talk(extensions, quit_)
    talk.begin(sending)
    for reply in replies:
        talk.hear(reply + b"\r\n")
    with pytest.raises(Lost, match="out of turn"):
        talk.hear(b"354 go\r\n250 queued\r\n")
    talk.lost(40, "out of turn")
    assert outcomes(sending) == {0: NOT_SENT}


def test_kept_connection_is_asked_and_used_in_one_write() -> None:
    sending = Sending(group(1))
    server = Server()
    talk = talk_to(server, sending)
    again = talk.begin(Sending(group(1)))
    assert [line.split(b" ")[0] for line in again.splitlines()] == [b"RSET", b"MAIL", b"RCPT", b"DATA"]


def test_nothing_is_begun_ahead_that_a_new_connection_could_begin() -> None:
    sending = Sending(group(3))
    sending.reserved = 2
    talk = Talk(PIPELINED, quit_)
    talk.begin(sending)
    assert talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n").endswith(b"\r\n.\r\n")
    assert sending.waiting() == 2
