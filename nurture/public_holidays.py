"""Public holidays of countries and their regions, by the `holidays` library; nobody else knows that it is there.

Loading it takes a quarter of a second, so that happens when somebody's country is asked for, and not before.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from nurture.core.countries import code_of
from nurture.errors import UsageError


@lru_cache(maxsize=512)
def public_holidays(country: str, region: str | None, first_year: int, last_year: int) -> frozenset[date]:
    """Return the public holidays of a country (ISO code or English name), in one of its regions where one is given.

    Raises UsageError for a country or region that the library does not have.
    """
    import holidays

    code = code_of(country) or country.strip().upper()
    try:
        found = holidays.country_holidays(code, subdiv=region, years=range(first_year, last_year + 1))
    except NotImplementedError:
        raise UsageError(_unknown(code, region)) from None
    return frozenset(found)


def known_or_none(country: str | None, region: str | None, first_year: int, last_year: int) -> frozenset[date]:
    """Return the public holidays, none where the country is not given or not known (any more)."""
    try:
        return public_holidays(country, region, first_year, last_year) if country else frozenset()
    except UsageError:
        return frozenset()


def _unknown(code: str, region: str | None) -> str:
    import holidays

    regions = holidays.list_supported_countries().get(code)
    if regions is None:
        return f"there are no public holidays for {code!r}: write the country as a code of two letters, such as DE"
    return f"{code} has no region {region!r} with holidays of its own: there are {', '.join(regions) or 'none'}"
