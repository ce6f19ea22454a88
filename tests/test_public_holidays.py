from __future__ import annotations

from datetime import date

import pytest

from nurture.errors import UsageError
from nurture.public_holidays import known_or_none, public_holidays


def test_a_country_and_its_regions_have_their_own_holidays() -> None:
    epiphany = date(2026, 1, 6)
    assert date(2026, 10, 3) in public_holidays("Germany", None, 2026, 2027)
    assert epiphany not in public_holidays("DE", None, 2026, 2026)
    assert epiphany in public_holidays("de", "BY", 2026, 2026)


def test_what_is_not_known_is_named_or_has_none() -> None:
    with pytest.raises(UsageError, match="no public holidays for 'XX'"):
        public_holidays("XX", None, 2026, 2026)
    with pytest.raises(UsageError, match="DE has no region 'ZZ'"):
        public_holidays("DE", "ZZ", 2026, 2026)
    assert known_or_none("XX", None, 2026, 2026) == known_or_none(None, None, 2026, 2026) == frozenset()
