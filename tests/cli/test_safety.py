"""The launch cap from the command line: kept with the database, so that what runs obeys it at once."""

from __future__ import annotations

from tests.cli.conftest import Shell


def test_the_cap_is_raised_for_this_database_and_given_back_to_the_settings(nurture: Shell) -> None:
    assert nurture("safety", "show", "--json").json["launch_cap"] == 500
    assert "At most 2,000 messages a day go out; 0 did today." in nurture("safety", "cap", "2000").out
    said = nurture("safety", "show", "--json").json
    assert (said["launch_cap"], said["set_in"]) == (2000, "this database (nurture safety cap)")
    back = nurture("safety", "cap", "--settings", "--json").json
    assert (back["launch_cap"], back["set_in"]) == (500, "nurture.toml")


def test_a_cap_is_a_number_or_what_the_settings_say(nurture: Shell) -> None:
    assert "say how many messages a day, or --settings" in nurture("safety", "cap", code=2).err
    assert "say how many messages a day, or --settings" in nurture("safety", "cap", "5", "--settings", code=2).err
