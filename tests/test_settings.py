from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from nurture.core.rates import Rates
from nurture.errors import ProgramError, SuppressionKeyError, UsageError
from nurture.settings import Settings, load_settings

PROGRAM = """\
lifecycle = "scored"

[company]
name = "Company"

[senders.newsletter]
voice = "marketing"
"""

KEYS = f"k1:{base64.b64encode(b'1' * 32).decode()}\n"


def load(folder: Path, settings: str = "", **environ: str) -> Settings:
    (folder / "nurture.toml").write_text(PROGRAM + settings)
    return load_settings(folder, environ)


def problems(folder: Path, settings: str, **environ: str) -> list[str]:
    with pytest.raises(ProgramError) as refused:
        load(folder, settings, **environ)
    return [str(problem) for problem in refused.value.problems]


def test_what_is_left_out_has_a_safe_default(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/nurture.db"
    assert (settings.public_url, settings.reps_provider, settings.redirect_all_to) == ("", "outbox", None)
    assert (settings.launch_cap, settings.settle_after) == (500, timedelta(days=3))
    assert (settings.providers, settings.allow_domains, settings.ring) == ({}, frozenset(), None)


def test_the_file_is_read(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [database]
        url = "sqlite:///data/n.db"
        [web]
        public_url = "https://mail.company.example/"
        [reps]
        provider = "smtp"
        [providers.smtp]
        host = "mail.company.example"
        [providers.postmark.stream]
        marketing = "broadcast"
        [safety]
        redirect_all_to = "me@company.example"
        allow_domains = ["Company.example"]
        launch_cap = 20
        settle_after = "1 week"
        """,
    )
    assert settings.database_url == f"sqlite:///{tmp_path}/data/n.db"
    assert settings.public_url == "https://mail.company.example"
    assert settings.reps_provider == "smtp"
    assert settings.providers["smtp"] == {"host": "mail.company.example"}
    assert settings.providers["postmark"] == {"stream": {"marketing": "broadcast"}}
    assert settings.redirect_all_to == "me@company.example"
    assert settings.allow_domains == {"company.example"}
    assert (settings.launch_cap, settings.settle_after) == (20, timedelta(weeks=1))


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[database]\nurl = "sqlite:///a.db"\n[safety]\nlaunch_cap = 1',
        NURTURE_DATABASE_URL="postgresql://host/name",
        NURTURE_PUBLIC_URL="http://localhost:8000",
        NURTURE_REPS_PROVIDER="postmark",
        NURTURE_REDIRECT_ALL_TO="me@company.example",
        NURTURE_ALLOW_DOMAINS="a.example, b.example",
        NURTURE_LAUNCH_CAP="7",
        NURTURE_SETTLE_AFTER="2 hours",
        NURTURE_KEYS=KEYS,
    )
    assert settings.database_url == "postgresql://host/name"
    assert (settings.public_url, settings.reps_provider) == ("http://localhost:8000", "postmark")
    assert settings.redirect_all_to == "me@company.example"
    assert settings.allow_domains == {"a.example", "b.example"}
    assert (settings.launch_cap, settings.settle_after) == (7, timedelta(hours=2))
    assert settings.ring is not None
    assert settings.ring.ids == ("k1",)


def test_rates_are_read_for_mailboxes_and_for_domains(tmp_path: Path) -> None:
    text = """
        [reps]
        rate = "30 per minute"
        per_day = 400
        [rates.domains]
        "gmail.com, Googlemail.com" = "100 per minute"
        "web.de" = "20 per hour"
        """
    rates = load(tmp_path, text).rates
    assert [str(rate) for rate in rates.reps] == ["30 per minute", "400 per day"]
    assert rates.domains["gmail.com"] == rates.domains["googlemail.com"]
    assert {name: str(limit.rate) for name, limit in rates.domains.items()} == {
        "gmail.com": "100 per minute",
        "googlemail.com": "100 per minute",
        "web.de": "20 per hour",
    }
    assert load(tmp_path, "").rates == Rates()


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    assert load(tmp_path, '[database]\nurl = "sqlite:////var/n.db"').database_url == "sqlite:////var/n.db"


def test_the_keys_come_from_the_key_file(tmp_path: Path) -> None:
    (tmp_path / ".nurture").mkdir()
    (tmp_path / ".nurture" / "keys").write_text(KEYS)
    settings = load(tmp_path)
    assert settings.ring is not None
    assert settings.ring.ids == ("k1",)


def test_a_key_file_that_cannot_be_read_is_no_missing_one(tmp_path: Path) -> None:
    (tmp_path / ".nurture" / "keys").mkdir(parents=True)
    with pytest.raises(SuppressionKeyError, match="cannot be read"):
        load(tmp_path)


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[providers.smtp]\npassword = "canary"',
        NURTURE_DATABASE_URL="postgresql://me:canary@host/name",
        NURTURE_SMTP_PASSWORD="canary",
        NURTURE_KEYS=KEYS,
    )
    assert "canary" not in repr(settings)
    assert KEYS.strip().partition(":")[2] not in repr(settings)
    assert settings.secret("NURTURE_SMTP_PASSWORD") == "canary"
    assert settings.secret("NURTURE_OTHER") is None


def test_every_unknown_name_is_named_with_what_was_meant(tmp_path: Path) -> None:
    assert problems(tmp_path, '[safty]\n[database]\nulr = ""\n[reps]\nprovider = "outbox"\nname = ""') == [
        "nurture.toml:8:2: unknown setting 'safty', did you mean 'safety'?",
        "nurture.toml:10:1: unknown setting 'ulr' in [database], did you mean 'url'?",
        "nurture.toml:13:1: unknown setting 'name' in [reps], known are per_day, provider, rate",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            '[web]\npublic_url = "http://mail.company.example"',
            "nurture.toml:9:1: 'http://mail.company.example' must be",
        ),
        (
            '[reps]\nrate = "fast"',
            (
                "nurture.toml:9:1: 'fast' is no rate: write a whole number per minute, hour or day, "
                "such as '150 per minute'"
            ),
        ),
        (
            '[rates.domains]\n"web.de" = 5',
            "nurture.toml:9:2: this must be a text, not 5",
        ),
        ("[rates]\ndomains = 5", "nurture.toml:9:1: 'domains' must be a table, write [rates.domains]"),
        ("[safety]\nlaunch_cap = -1", "nurture.toml:9:1: this must be a whole number, not -1"),
        ("[safety]\nlaunch_cap = true", "nurture.toml:9:1: this must be a whole number, not True"),
        ('[safety]\nallow_domains = ["a@b.example"]', "nurture.toml:9:1: 'a@b.example' must be a domain without @"),
        ("[safety]\nallow_domains = [1]", "nurture.toml:9:1: this must be a list of domains"),
        ('[safety]\nsettle_after = "2 business days"', "nurture.toml:9:1: '2 business days' must be elapsed time"),
        ('[safety]\nsettle_after = "soon"', "nurture.toml:9:1: 'soon' is no length of time"),
        ('[safety]\nredirect_all_to = "me"', "nurture.toml:9:1: 'me' is no e-mail address"),
        ("[database]\nurl = 1", "nurture.toml:9:1: this must be a text, not 1"),
        ("[providers]\nsmtp = 1", "nurture.toml:9:1: 'smtp' must be a table, write [providers.smtp]"),
        ("[[web]]", "nurture.toml:8:3: 'web' must be a table, write [web]"),
        ("[web\nx = 1", "nurture.toml:8:5: this is no TOML"),
    ],
)
def test_a_wrong_value_is_found_where_it_stands(tmp_path: Path, written: str, said: str) -> None:
    (problem,) = problems(tmp_path, written)
    assert problem.startswith(said)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "", NURTURE_LAUNCH_CAP="many") == [
        "$NURTURE_LAUNCH_CAP:1:1: this must be a whole number, not 'many'"
    ]


def test_a_folder_without_settings_is_no_working_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nurture init"):
        load_settings(tmp_path, {})


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"NURTURE_DATABASE_URL": "sqlite:///x.db"})
    assert settings.database_url == f"sqlite:///{tmp_path}/x.db"
