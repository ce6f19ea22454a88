"""HTTP answers in any pieces, connections that end, and headers that stay headers."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.providers.answers import Answer as Reading
from nurture.providers.answers import Response
from nurture.providers.base import Deadline
from nurture.providers.http import Http, NoAnswer, Request, Unreachable
from nurture.providers.lines import Lost
from tests.providers.servers import Answer, free_port, http_server

FINE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Two: a\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
INFORMED = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + FINE
NO_LENGTH = b'HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{"a":1}'
OLD = b'HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
CLOSING = FINE.replace(b"X-Two: a", b"Connection: close")
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"


def read(octets: bytes, cuts: list[int]) -> tuple[Response | None, bool]:
    reading = Reading()
    edges = [0, *sorted({cut % len(octets) for cut in cuts} - {0}), len(octets)]
    for start, end in itertools.pairwise(edges):
        if response := reading.hear(octets[start:end]):
            assert end == len(octets)
            return response, reading.reusable
    return reading.hear(b""), reading.reusable


@given(st.sampled_from([FINE, CHUNKED, INFORMED, NO_LENGTH, OLD, CLOSING]), st.lists(st.integers(0, 200), max_size=6))
def test_answer_is_the_same_in_any_pieces(octets: bytes, cuts: list[int]) -> None:
    response, reusable = read(octets, cuts)
    assert response is not None
    assert (response.status, response.body) == (200, b'{"a":1}')
    assert reusable is (octets in {FINE, CHUNKED, INFORMED})


def test_answer_without_a_body_is_whole() -> None:
    response, reusable = read(EMPTY, [])
    assert response is not None
    assert (response.status, response.body, reusable) == (204, b"", True)


@pytest.mark.parametrize(
    "octets",
    [
        b"220 mail ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nBad Name: 7\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 20",
        b"",
    ],
)
def test_what_is_no_whole_answer_is_none(octets: bytes) -> None:
    assert answer_of(octets) is None


def answer_of(octets: bytes) -> Response | None:
    reading = Reading()
    try:
        return (reading.hear(octets) if octets else None) or reading.hear(b"")
    except Lost:
        return None


def test_more_than_was_asked_for_ends_the_connection() -> None:
    reading = Reading()
    assert reading.hear(FINE + b"HTTP/1.1 200 OK\r\n") is not None
    assert not reading.reusable


def test_connection_is_kept_until_the_server_ends_it() -> None:
    closing = Answer(body=b"{}", headers={"Connection": "close"})
    with http_server(Answer(body=b"{}"), closing, Answer(body=b"{}")) as server:
        http = Http(server.url)
        for _ in range(4):
            assert http.post(Request("/email", {}, b"[]"), Deadline(5)).status == 200
        http.close()
    assert len(server.requests) == 4


def test_an_idle_connection_keeps_nothing_of_what_was_sent() -> None:
    with http_server(Answer(body=b"{}")) as server:
        http = Http(server.url)
        tracemalloc.start()
        try:
            for size in (1, 4_000_000):
                http.post(Request("/email", {}, b'["' + b"x" * size + b'"]'), Deadline(5))
            server.requests.clear()
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        http.close()
    assert kept < 2_000_000


def test_path_of_the_base_url_stands_before_every_path() -> None:
    with http_server(Answer(body=b"{}")) as server:
        http = Http(f"{server.url}/proxy/")
        results: list[object] = []
        http.post(Request("/email", {"X-Token": "t"}, b"[]"), Deadline(5))
        http.post_each(
            [Request("/email", {"X-Token": "t"}, b"[]")], lambda _, result: not results.append(result), Deadline(5)
        )
        http.close()
    assert [headers["x-token"] for headers, _ in server.requests] == ["t", "t"]
    assert server.paths == ["/proxy/email", "/proxy/email"]
    assert isinstance(results[0], Response)


def test_header_never_begins_another() -> None:
    http = Http("http://127.0.0.1:1")
    for value in ("a\r\nX-Evil: b", "a\nb", "ü"):
        with pytest.raises(ValueError, match="line end, or is not ASCII"):
            http.post_each([Request("/email", {"X-Token": value}, b"{}")], lambda *_: True, Deadline(5))
    http.close()


def test_nothing_is_begun_when_the_time_is_over() -> None:
    with http_server(Answer(body=b"{}")) as server:
        http = Http(server.url)
        with pytest.raises(Unreachable, match="timed out"):
            http.post(Request("/email", {}, b"[]"), Deadline(0))
        http.close()
    assert server.requests == []


def test_one_that_cannot_be_reached_and_one_that_never_answers_are_told_apart() -> None:
    http = Http(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="Connection refused"):
        http.get("/", Deadline(5))
    http.close()
    with http_server(Answer(hang=True)) as server:
        http = Http(server.url)
        with pytest.raises(NoAnswer, match="timed out"):
            http.post(Request("/email", {}, b"[]"), Deadline(0.2))
        http.close()
