"""Threads hold together, and no two mails share a Message-ID."""

from __future__ import annotations

import re

import pytest

from nurture.mail.thread import MAX_REFERENCES, mint_message_id, references, reply_subject, split_references


def test_message_id_is_the_same_on_every_attempt() -> None:
    assert mint_message_id("e:1:hello:0", "Ann@Acme.example") == mint_message_id("e:1:hello:0", "Ann@Acme.example")
    assert mint_message_id("e:1:hello:0", "a@acme.example") != mint_message_id("e:1:hello:1", "a@acme.example")


def test_two_databases_mint_different_ids_for_the_same_origin() -> None:
    assert mint_message_id("e:1:a:0", "a@acme.example", "one") != mint_message_id("e:1:a:0", "a@acme.example", "two")


def test_ids_of_neighbors_begin_alike_and_differ_behind() -> None:
    minted = [mint_message_id(f"e:{run}:hello:0", "a@acme.example", "one") for run in range(7_000, 9_000)]
    assert len(set(minted)) == 2_000
    assert len({each[:9] for each in minted[:1_000]}) == len({each[:9] for each in minted[1_000:]}) == 1
    assert minted[0][:9] != minted[-1][:9]
    assert all(re.fullmatch("<[0-9a-f]{32}@acme.example>", each) for each in minted)


def test_message_id_stands_in_the_senders_domain() -> None:
    minted = mint_message_id("e:1:hello:0", "ann@BÜCHER.example")
    assert minted.startswith("<")
    assert minted.endswith("@xn--bcher-kva.example>")
    assert minted.isascii()


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("A question", "Re: A question"),
        ("Re: A question", "Re: A question"),
        ("RE:A question", "RE:A question"),
        ("AW: Frage", "AW: Frage"),
        ("Re[2]: A question", "Re[2]: A question"),
        ("Regarding: x", "Re: Regarding: x"),
        ("", "Re:"),
    ],
)
def test_re_stands_once(subject: str, answer: str) -> None:
    assert reply_subject(subject) == answer


def test_references_chain_ends_with_the_parent() -> None:
    assert references(["<a@x>", "<b@x>"], "<c@x>") == ("<a@x>", "<b@x>", "<c@x>")
    assert references(["<a@x>", "<c@x>", "<a@x>"], "<c@x>") == ("<a@x>", "<c@x>")


def test_long_chain_keeps_the_first_and_the_last() -> None:
    chain = references([f"<{number}@x>" for number in range(50)], "<end@x>")
    assert len(chain) == MAX_REFERENCES
    assert chain[0] == "<0@x>"
    assert chain[-1] == "<end@x>"


def test_stored_references_are_read_back() -> None:
    assert split_references("<a@x>\r\n <b@x> junk") == ("<a@x>", "<b@x>")
    assert split_references(None) == ()
