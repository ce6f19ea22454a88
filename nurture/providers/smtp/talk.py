"""Sending mails on one SMTP connection: what to say, and what each reply proves. No socket, no clock.

Until the final dot is written a mail is certainly not sent; once it is, only the server's reply can say. Where the
server offers PIPELINING (RFC 2920), MAIL, RCPT and DATA are one group, whose end waits for its answer, and the group of
the next mail follows the final dot of the one before: one round trip a mail. Else every command waits for its reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from nurture.mail.wire import Outgoing
from nurture.providers.base import Deadline, Outcome, Receipt, reason
from nurture.providers.lines import Lost
from nurture.providers.smtp.letter import DATA, END, MAIL, RCPT, Letter, judge, write
from nurture.providers.smtp.replies import Replies, Reply

RSET, DOT = "RSET", "the dot"
"""What is answered by a reply on which no mail's fate hangs: DOT ends a mail that nobody may get, and is empty."""

CLOSING = 421
_WITHIN = frozenset({MAIL, RCPT})
"""What stands within a group: nothing follows from a good reply to it."""


class Sending:
    """The mails of one group: those that wait, shared by the connections, and the receipts so far."""

    def __init__(self, group: Sequence[Outgoing]) -> None:
        """Let all of the group wait."""
        self.receipts: dict[int, Receipt] = {}
        self.reserved = 0
        self._waiting = deque(group)

    def waiting(self) -> int:
        """Return how many mails nobody has begun."""
        return len(self._waiting)

    def take(self, extensions: Collection[str]) -> Letter | None:
        """Return the next mail, written for such a server; those that cannot be written are refused on the way."""
        while self._waiting:
            outgoing = self._waiting.popleft()
            try:
                return write(outgoing, extensions)
            except ValueError as error:
                self.settle(Receipt(outgoing.id, Outcome.REFUSED, detail=reason(error)))
        return None

    def settle(self, receipt: Receipt) -> None:
        """Say what became of a mail."""
        self.receipts[receipt.id] = receipt

    def give_back(self, letter: Letter) -> None:
        """Let a mail wait again that certainly was not sent, and was not at fault."""
        self._waiting.appendleft(letter.outgoing)


class Talk:
    """The mails on one connection."""

    def __init__(self, extensions: Collection[str], goodbye: Callable[[Deadline], None]) -> None:
        """Go on where greeting and login ended; `goodbye` ends the connection."""
        self.goodbye = goodbye
        self._sending = Sending(())
        self._extensions = extensions
        self._pipelining = "PIPELINING" in extensions
        self._replies = Replies()
        self._awaited: deque[tuple[str, Letter | None]] = deque()
        self._letters: deque[Letter] = deque()
        self._said = 0
        self._fresh = True
        self._kept = False

    @property
    def busy(self) -> bool:
        """Tell whether a reply is waited for."""
        return bool(self._awaited)

    def begin(self, work: Sending) -> bytes:
        """Begin the next mail. A connection that was kept is asked with RSET whether it still works."""
        self._sending = work
        kept, self._kept = self._kept, True
        if not self._sending.waiting():
            return b""
        if not kept:
            return self._tell(self._next())
        self._awaited.append((RSET, None))
        return self._tell(b"RSET\r\n" + (self._next() if self._pipelining else b""))

    def hear(self, octets: bytes) -> bytes:
        """Return what follows from the replies in `octets`. Raises Lost when the connection is of no more use."""
        words = b""
        awaited, pipelining = self._awaited, self._pipelining
        for reply in self._replies.heard(octets):
            if words or not awaited:
                raise Lost(f"the server speaks out of turn: {reply}")
            what, letter = awaited.popleft()
            if not pipelining or what not in _WITHIN or reply[0] // 100 != 2:
                words = self._answer(what, letter, reply)
        if words and self._replies.begun:
            raise Lost("the server speaks out of turn")
        self._said += len(words)
        return words

    def lost(self, gone: int, why: str) -> None:
        """Settle the mails in flight: what is ambiguous, and what was certainly not sent.

        A mail goes back to wait for another connection unless it was the first on this one: it might be its fault.
        """
        for letter in reversed(self._letters):
            first = letter is self._letters[0]
            if letter.dot_at is not None and gone > letter.dot_at and not letter.refusal:
                self._settle(letter, Outcome.AMBIGUOUS, f"no answer after the mail was over: {why}")
            elif letter.refusal and letter.refusal.outcome is not Outcome.NOT_SENT:
                self._sending.settle(letter.refusal)
            elif not first or not self._fresh:
                self._sending.give_back(letter)
            elif letter.refusal:
                self._sending.settle(letter.refusal)
            else:
                self._settle(letter, Outcome.NOT_SENT, f"lost before the mail was over: {why}")
        self._letters.clear()
        self._awaited.clear()

    # --- words --------------------------------------------------------------------------------------------------------

    def _tell(self, words: bytes) -> bytes:
        self._said += len(words)
        return words

    def _next(self) -> bytes:
        """Return the envelope of the next mail: as one group, or its first command."""
        letter = self._sending.take(self._extensions)
        if letter is None:
            return b""
        self._letters.append(letter)
        if not self._pipelining:
            self._awaited.append((MAIL, letter))
            return letter.mail
        self._awaited += ((MAIL, letter), (RCPT, letter), (DATA, letter))
        return b"%b%bDATA\r\n" % (letter.mail, letter.rcpt)

    def _behind(self, words: bytes, what: str, letter: Letter | None) -> bytes:
        """Say `words`, whose reply is about `what`, and what may stand right behind them."""
        self._awaited.append((what, letter))
        ahead = self._pipelining and self._sending.waiting() > self._sending.reserved
        return words + self._next() if ahead else words

    # --- replies ------------------------------------------------------------------------------------------------------

    def _answer(self, what: str, letter: Letter | None, reply: Reply) -> bytes:
        """Return what to say to a reply that answers `what`."""
        if letter is None:
            return self._answer_aside(what, reply)
        if reply.code == CLOSING:
            letter.refuse(what, reply)
            raise Lost(str(reply))
        if what == END:
            self._settled(letter, judge(letter, END, reply))
            return b"" if self._awaited else self._next()
        if what == DATA:
            return self._answer_data(letter, reply)
        if not reply.good:
            letter.refuse(what, reply)
            return b"" if self._pipelining else self._forget(letter)
        if what == MAIL:
            self._awaited.append((RCPT, letter))
            return letter.rcpt
        self._awaited.append((DATA, letter))
        return b"DATA\r\n"

    def _answer_data(self, letter: Letter, reply: Reply) -> bytes:
        """Write the mail when the server waits for it and everything before was fine."""
        goes_on = reply.code // 100 == 3
        if goes_on and letter.refusal is None:
            letter.dot_at = self._said + len(letter.body)
            return self._behind(letter.body + b".\r\n", END, letter)
        if not goes_on:
            letter.refuse(DATA, reply)
            return self._forget(letter)
        assert letter.refusal
        if letter.refused_at != RCPT:  # a recipient may stand, who would get an empty mail
            raise Lost(f"the server waits for a mail that it refused: {reply}")
        self._settled(letter, letter.refusal)
        return self._behind(b".\r\n", DOT, None)

    def _forget(self, letter: Letter) -> bytes:
        """Forget the mail that was begun and refused."""
        assert letter.refusal
        self._settled(letter, letter.refusal)
        return self._behind(b"RSET\r\n", RSET, None)

    def _answer_aside(self, what: str, reply: Reply) -> bytes:
        if reply.code == CLOSING or (what == RSET and not reply.good):
            raise Lost(f"{what}: {reply}")
        return b"" if self._awaited else self._next()

    def _settled(self, letter: Letter, receipt: Receipt) -> None:
        self._sending.settle(receipt)
        self._letters.remove(letter)
        self._fresh = False

    def _settle(self, letter: Letter, outcome: Outcome, detail: str) -> None:
        self._sending.settle(Receipt(letter.outgoing.id, outcome, detail=detail))
