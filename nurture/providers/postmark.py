"""Postmark: batches of up to 500 over HTTPS, with a result for each mail; or a request for each, over many connections.

https://postmarkapp.com/developer/user-guide/send-email-with-api/batch-emails and
https://postmarkapp.com/developer/api/overview#error-codes (read in November 2026). There is no idempotency key: a
request whose answer never came is ambiguous. Our Message-ID stays on the mail because of `X-PM-KeepID`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import orjson

from nurture.core.quick import quick_init
from nurture.core.words import Voice
from nurture.errors import ProviderError
from nurture.mail.address import clean_header, wire_address
from nurture.mail.wire import Outgoing, header_pairs, mailbox
from nurture.providers.base import Deadline, Options, Outcome, Provider, Receipt, printable, reason
from nurture.providers.http import Http, NoAnswer, Request, Response, Result, Unreachable, retry_after

BATCH = 500
MAX_SINGLE = 500
"""Mails that one call of `send` carries at most where each has a request of its own."""

CODES = {
    10: Outcome.SENDER_REFUSED,  # bad or missing API token
    100: Outcome.NOT_SENT,  # maintenance
    300: Outcome.REFUSED,  # invalid email request, such as an illegal address
    400: Outcome.SENDER_REFUSED,  # sender signature not found
    401: Outcome.SENDER_REFUSED,  # sender signature not confirmed
    402: Outcome.REFUSED,  # invalid JSON
    403: Outcome.REFUSED,  # incompatible JSON
    405: Outcome.SENDER_REFUSED,  # not allowed to send: out of credits
    406: Outcome.REFUSED,  # inactive recipient: bounced, complained or unsubscribed there
    409: Outcome.REFUSED,  # JSON required
    410: Outcome.REFUSED,  # too many batch messages
    411: Outcome.REFUSED,  # forbidden attachment type
    412: Outcome.SENDER_REFUSED,  # account is pending
    413: Outcome.SENDER_REFUSED,  # account may not send
    429: Outcome.NOT_SENT,  # rate limit exceeded
    1235: Outcome.SENDER_REFUSED,  # no such message stream
}
"""What an ErrorCode other than 0 means. Every one of them says that the mail was not taken."""

UNKNOWN_CODE = Outcome.NOT_SENT
MAINTENANCE = 100

STATUSES = {
    400: Outcome.REFUSED,
    401: Outcome.SENDER_REFUSED,
    403: Outcome.SENDER_REFUSED,
    404: Outcome.REFUSED,
    413: Outcome.REFUSED,
    422: Outcome.REFUSED,
    429: Outcome.NOT_SENT,
}
"""What an HTTP status means for a whole request that was not taken. Others than these and 200 are ambiguous."""

SPLIT = (400, 413, 422)
"""Statuses that may be one mail's fault: the batch is halved until that mail stands alone."""

ONE_MAIL = (200, 422)
"""Statuses that say something of this mail only, where a request carries one."""

ELSEWHERE = (301, 307, 308, 404, 405, 415)
"""Statuses that, without a code of Postmark's, come from somebody else: `base_url` is wrong."""

STREAMS = {Voice.MARKETING.value: "broadcast", Voice.PERSONAL.value: "outbound"}


def create(options: Mapping[str, object], *, folder: Path, secrets: Mapping[str, str]) -> Provider:
    """Return Postmark.

    Options: `base_url`, `token_env` ("NURTURE_POSTMARK_TOKEN"), `stream` by voice, `batch` (500 mails a request; 1 for
    servers that know no batches), `connections` (4).
    """
    read = Options("postmark", options, ("base_url", "token_env", "stream", "batch", "connections"))
    base_url = read.text("base_url", "https://api.postmarkapp.com")
    streams = read.texts("stream", STREAMS)
    token = read.secret("token_env", "NURTURE_POSTMARK_TOKEN", secrets)
    batch = read.number("batch", BATCH, 1, BATCH)
    connections = read.number("connections", 4, 1, 100)
    if not token.isascii() or not token.isprintable():
        raise ProviderError("the Postmark token holds characters that no token has: copy it again")
    return Postmark(Http(base_url, connections=connections), token=token, streams=streams, batch=batch)


@quick_init
@dataclass(frozen=True, slots=True)
class _Item:
    """A mail as it stands in a request."""

    outgoing: Outgoing
    octets: bytes


class Postmark:
    """Sends through one Postmark server (in Postmark's sense: a token with its streams)."""

    name = "postmark"
    real = True

    def __init__(self, http: Http, *, token: str, streams: Mapping[str, str] = STREAMS, batch: int = BATCH) -> None:
        """Post through `http`, `batch` mails a request; `streams` maps a voice to a message stream."""
        self._http = http
        self._streams = dict(streams)
        self._batch = batch
        self._rate = 10.0
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-Postmark-Server-Token": token,
        }

    @property
    def batch(self) -> int:
        """Return how many mails a request carries; where it is one, how many went in two seconds of late, up to 500."""
        return self._batch if self._batch > 1 else max(1, min(MAX_SINGLE, round(2 * self._rate)))

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Send a group; after a refusal that is about us (or a rate limit) the rest is not tried."""
        deadline = Deadline(seconds)
        receipts: dict[int, Receipt] = {}
        items: list[_Item] = []
        for outgoing in group:
            try:
                items.append(_Item(outgoing, _write(outgoing, self._streams)))
            except (ValueError, TypeError) as error:  # TypeError: orjson's word for half a surrogate pair
                receipts[outgoing.id] = Receipt(outgoing.id, Outcome.REFUSED, detail=reason(error))
        sent = self._send_batches(items, deadline) if self._batch > 1 else self._send_each(items, deadline)
        receipts.update((receipt.id, receipt) for receipt in sent)
        return [receipts[outgoing.id] for outgoing in group]

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say nothing: what Postmark's search does not show yet may still have been taken."""
        return {}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def build(self, group: Sequence[Outgoing]) -> Request:
        """Return the request that carries the group. Raises ValueError when a mail cannot be written."""
        return self._batched([_Item(outgoing, _write(outgoing, self._streams)) for outgoing in group])

    # --- batches ------------------------------------------------------------------------------------------------------

    def _batched(self, items: Sequence[_Item]) -> Request:
        octets = [item.octets for item in items]
        octets[0] = b"[" + octets[0]  # so that the whole, which is large, is copied once
        octets[-1] += b"]"
        return Request("/email/batch", self._headers, b",".join(octets))

    def _send_batches(self, items: Sequence[_Item], deadline: Deadline) -> list[Receipt]:
        receipts: list[Receipt] = []
        stop: Receipt | None = None
        for start in range(0, len(items), self._batch):
            batch = items[start : start + self._batch]
            if stop:
                receipts += [replace(stop, id=item.outgoing.id) for item in batch]
                continue
            answers = self._send_batch(batch, deadline)
            receipts += answers
            if all(receipt.outcome in _STOPPING for receipt in answers):
                stop = answers[0]
        return receipts

    def _send_batch(self, items: Sequence[_Item], deadline: Deadline) -> list[Receipt]:
        group = [item.outgoing for item in items]
        if deadline.left() <= 0:
            return _all(group, Outcome.NOT_SENT, TIME_OVER)
        try:
            response = self._http.post(self._batched(items), deadline)
        except (Unreachable, NoAnswer) as error:
            return _all(group, _outcome(error), str(error))
        receipts = parse(response, group)
        if response.status in SPLIT and len(group) > 1 and receipts[0].outcome is Outcome.REFUSED:
            middle = len(group) // 2
            return [*self._send_batch(items[:middle], deadline), *self._send_batch(items[middle:], deadline)]
        return receipts

    # --- a request each -----------------------------------------------------------------------------------------------

    def _send_each(self, items: Sequence[_Item], deadline: Deadline) -> list[Receipt]:
        receipts: dict[int, Receipt] = {}
        stop: list[Receipt] = []

        def answered(number: int, result: Result) -> bool:
            receipt = _judge(result, items[number].outgoing)
            receipts[number] = receipt
            if receipt.outcome in _STOPPING and not (isinstance(result, Response) and result.status in ONE_MAIL):
                stop.append(receipt)
            return not stop

        began = time.monotonic()
        requests = [Request("/email", self._headers, item.octets) for item in items]
        failed = self._http.post_each(requests, answered, deadline)
        self._learn(len(receipts), time.monotonic() - began)
        over = Receipt(0, Outcome.NOT_SENT, detail=str(failed or TIME_OVER))
        left = stop[0] if stop else over
        return [receipts.get(number) or replace(left, id=item.outgoing.id) for number, item in enumerate(items)]

    def _learn(self, answers: int, seconds: float) -> None:
        if answers:
            self._rate = (self._rate + answers / max(seconds, 0.001)) / 2


TIME_OVER = "the time was over before its turn"
_STOPPING = frozenset({Outcome.SENDER_REFUSED, Outcome.NOT_SENT})


def _outcome(error: Unreachable | NoAnswer) -> Outcome:
    return Outcome.NOT_SENT if isinstance(error, Unreachable) else Outcome.AMBIGUOUS


def _judge(result: Result, outgoing: Outgoing) -> Receipt:
    """Return what the result of a request for one mail means."""
    if isinstance(result, Response):
        return parse(result, [outgoing], single=True)[0]
    return Receipt(outgoing.id, _outcome(result), detail=str(result))


def parse(response: Response, group: Sequence[Outgoing], *, single: bool = False) -> list[Receipt]:
    """Return what an answer says of each mail of its group, in order. What it does not say is ambiguous.

    The answer to a `single` mail is one result, and no list.
    """
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        body = None
    if response.status == 200 and single and isinstance(body, dict):
        return [_parse_result(body, group[0])]
    if response.status == 200 and not single and isinstance(body, list):
        return _parse_results(body, group)
    if response.status == 200:
        return _all(group, Outcome.AMBIGUOUS, "the answer holds no results: is a proxy in between?")
    return _parse_failure(response, body, group)


def _parse_failure(response: Response, body: object, group: Sequence[Outgoing]) -> list[Receipt]:
    """Judge the whole request: by Postmark's own code, else by the status."""
    code = body.get("ErrorCode") if isinstance(body, dict) else None
    words = str(body.get("Message", "")) if isinstance(body, dict) else ""
    outcome = STATUSES.get(response.status, Outcome.AMBIGUOUS)
    if isinstance(code, int) and 400 <= response.status < 500 and outcome is not Outcome.NOT_SENT:
        outcome = CODES.get(code, outcome)
    elif code == MAINTENANCE:
        outcome = CODES[MAINTENANCE]
    elif response.status in ELSEWHERE:
        outcome, words = Outcome.SENDER_REFUSED, "this is not Postmark: check base_url in [providers.postmark]"
    detail = printable(f"HTTP {response.status}{f', code {code}' if code else ''}: {words or 'no reason given'}")
    wait = retry_after(response) if outcome is Outcome.NOT_SENT else None
    return [Receipt(outgoing.id, outcome, detail=detail, retry_after=wait) for outgoing in group]


def _parse_results(results: list[object], group: Sequence[Outgoing]) -> list[Receipt]:
    """Match results to mails: by position while they agree (Postmark keeps the order), else by the address."""
    if len(results) == len(group) and all(map(_agrees, results, group)):
        return [_parse_result(result, outgoing) for result, outgoing in zip(results, group, strict=True)]
    by_address: dict[str, object] = {}
    told = Counter(address for address in map(_recipient, results) if address)
    asked = Counter(_key(outgoing) for outgoing in group)
    for result in results:
        address = _recipient(result)
        if address and told[address] == asked[address] == 1:
            by_address[address] = result
    return [_parse_result(by_address.get(_key(outgoing)), outgoing) for outgoing in group]


def _parse_result(result: object, outgoing: Outgoing) -> Receipt:
    if not isinstance(result, dict) or not isinstance(code := result.get("ErrorCode"), int):
        return Receipt(outgoing.id, Outcome.AMBIGUOUS, detail="the answer has no result for this mail")
    if code:
        words = str(result.get("Message", ""))
        return Receipt(outgoing.id, CODES.get(code, UNKNOWN_CODE), detail=printable(f"code {code}: {words}"))
    provider_id = result.get("MessageID")
    if not isinstance(provider_id, str) or not provider_id:
        return Receipt(outgoing.id, Outcome.AMBIGUOUS, detail="the answer says OK but gives no MessageID")
    return Receipt(outgoing.id, Outcome.ACCEPTED, provider_id)


def _agrees(result: object, outgoing: Outgoing) -> bool:
    if isinstance(result, dict) and result.get("To") in (None, outgoing.to_address):
        return True  # as nearly always
    address = _recipient(result)
    return not address or address == _key(outgoing)


def _recipient(result: object) -> str:
    """Return the bare address in a result's `To`, or "" (results that are errors have none)."""
    to = result.get("To") if isinstance(result, dict) else None
    if not isinstance(to, str):
        return ""
    return to.rpartition("<")[2].rstrip("> ").strip().lower()


def _key(outgoing: Outgoing) -> str:
    return wire_address(outgoing.to_address).lower()


def _write(outgoing: Outgoing, streams: Mapping[str, str]) -> bytes:
    """Return a mail as it stands in a request. Raises ValueError when an address or a header cannot be written."""
    headers = [{"Name": name, "Value": value} for name, value in header_pairs(outgoing)]
    headers.append(_KEEP_ID)
    item: dict[str, object] = {
        "From": _sender(outgoing.from_name, outgoing.from_address),
        "To": mailbox(outgoing.to_name, outgoing.to_address),
        "Subject": clean_header(outgoing.subject),
        "TextBody": outgoing.text,
        "Headers": headers,
        "MessageStream": streams[outgoing.voice.value],
        "TrackOpens": False,
        "TrackLinks": "None",
        "Metadata": _metadata(outgoing),
    }
    if outgoing.html is not None:
        item["HtmlBody"] = outgoing.html
    if outgoing.reply_to:
        item["ReplyTo"] = _sender("", outgoing.reply_to)
    # What orjson returns keeps the room in which it was written, ten times what a mail takes.
    return memoryview(orjson.dumps(item)).tobytes()


_KEEP_ID = {"Name": "X-PM-KeepID", "Value": "true"}
_sender = lru_cache(maxsize=1024)(mailbox)
"""`mailbox` for addresses that come back."""


def _metadata(outgoing: Outgoing) -> dict[str, str]:
    """Return at most ten pairs (names of 20, values of 80 characters); `nurture` finds the mail again by its id."""
    pairs = {"nurture": outgoing.message_id.strip("<>").partition("@")[0], **outgoing.metadata}
    if len(pairs) > 10:
        pairs = dict(list(pairs.items())[:10])
    return {name[:20]: value[:80] for name, value in pairs.items()}


def _all(group: Sequence[Outgoing], outcome: Outcome, detail: str) -> list[Receipt]:
    return [Receipt(outgoing.id, outcome, detail=detail) for outgoing in group]
