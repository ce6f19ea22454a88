"""Finding a provider by its name, and what stands between a name and a socket."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from nurture.errors import ProviderError
from nurture.providers.base import Deadline, Options, Outcome, connect_any, load, names, printable


def test_shipped_providers_have_names() -> None:
    assert names() == ["outbox", "postmark", "smtp"]


def test_unknown_provider_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="no provider 'postmrk': did you mean 'postmark'"):
        load("postmrk", {}, folder=tmp_path, secrets={})


def test_what_is_no_provider_cannot_be_named(tmp_path: Path) -> None:
    for name in ("base", "http", "carrier pigeon"):
        with pytest.raises(ProviderError, match="there are outbox, postmark, smtp"):
            load(name, {}, folder=tmp_path, secrets={})


def test_dotted_name_loads_an_outside_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_mail").mkdir()
    (tmp_path / "acme_mail" / "pigeon.py").write_text(
        "def create(options, *, folder, secrets):\n    return (options['speed'], folder, secrets['KEY'])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = load("acme_mail.pigeon", {"speed": 3}, folder=tmp_path, secrets={"KEY": "k"})
    assert loaded == (3, tmp_path, "k")  # type: ignore[comparison-overlap]
    sys.modules.pop("acme_mail.pigeon")


def test_dotted_name_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"'acme\.nowhere' cannot be loaded"):
        load("acme.nowhere", {}, folder=tmp_path, secrets={})
    with pytest.raises(ProviderError, match="must have a function `create`"):
        load("os.path", {}, folder=tmp_path, secrets={})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": True}, "`size` in \\[providers.x\\] must be a whole number from 1 to 9"),
        ({"size": 10}, "whole number"),
        ({"fast": 1}, "true or false"),
        ({"name": 3}, "must be a text"),
        ({"how": "c"}, "one of a, b"),
        ({"table": {"c": "x"}}, "knows a, not 'c'"),
        ({"table": 3}, "table of texts"),
        ({"sise": 1}, "did you mean 'size'"),
    ],
)
def test_wrong_option_is_named(values: Mapping[str, object], message: str) -> None:
    with pytest.raises(ProviderError, match=message) as refused:
        read_all(Options("x", values, ("size", "fast", "name", "how", "table")))
    assert refused.value.option == next(iter(values))


def test_an_unknown_option_is_named_before_one_that_is_missing() -> None:
    with pytest.raises(ProviderError, match=r"`hots` in \[providers\.smtp\] is not an option: did you mean 'host'\?"):
        load("smtp", {"hots": "mail.company.example", "port": "x"}, folder=Path(), secrets={})


def read_all(read: Options) -> None:
    read.number("size", 1, 1, 9)
    read.flag("fast", False)
    read.text("name", "n")
    read.choice("how", ("a", "b"), "a")
    read.texts("table", {"a": "1"})


def test_missing_secret_names_the_variable_and_blank_is_missing() -> None:
    with pytest.raises(ProviderError, match="set the environment variable X_TOKEN"):
        Options("x", {}, ()).secret("token_env", "X_TOKEN", {"X_TOKEN": " \n"})
    assert Options("x", {"token_env": "Y"}, ("token_env",)).secret("token_env", "X", {"Y": "abc\n"}) == "abc"


def test_every_address_of_a_host_is_tried_until_one_answers() -> None:
    tried: list[str] = []

    def connect(address: str, seconds: float) -> str:
        tried.append(address)
        raise ConnectionRefusedError(111, "refused")

    with pytest.raises(ConnectionRefusedError):
        connect_any("localhost", 25, Deadline(5), connect)
    assert "127.0.0.1" in tried
    with pytest.raises(TimeoutError):
        connect_any("localhost", 25, Deadline(0), connect)


def test_deadline_never_gives_time_that_is_over() -> None:
    assert Deadline(-1).left() == 0
    with pytest.raises(TimeoutError):
        Deadline(0).check()
    assert 0 < Deadline(5).check() <= 5


def test_words_of_others_fit_on_a_line() -> None:
    assert printable("a\r\nb\x1b[31m\tc") == "a b [31m c"
    assert len(printable("x" * 1000)) == 300


def test_outcomes_are_stored_as_words() -> None:
    assert [outcome.value for outcome in Outcome] == ["accepted", "not_sent", "refused", "ambiguous", "sender_refused"]
