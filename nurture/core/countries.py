"""Country → time zone: a guess that is better than the company's own. Where there are several, that of the capital.

Countries are written as ISO 3166-1 alpha-2 codes or as English names, in any case.
"""

from __future__ import annotations

_TABLE = """
AE|United Arab Emirates|Asia/Dubai
AR|Argentina|America/Argentina/Buenos_Aires
AT|Austria|Europe/Vienna
AU|Australia|Australia/Sydney
BD|Bangladesh|Asia/Dhaka
BE|Belgium|Europe/Brussels
BG|Bulgaria|Europe/Sofia
BR|Brazil|America/Sao_Paulo
CA|Canada|America/Toronto
CH|Switzerland|Europe/Zurich
CL|Chile|America/Santiago
CN|China|Asia/Shanghai
CO|Colombia|America/Bogota
CR|Costa Rica|America/Costa_Rica
CY|Cyprus|Asia/Nicosia
CZ|Czechia,Czech Republic|Europe/Prague
DE|Germany|Europe/Berlin
DK|Denmark|Europe/Copenhagen
EC|Ecuador|America/Guayaquil
EE|Estonia|Europe/Tallinn
EG|Egypt|Africa/Cairo
ES|Spain|Europe/Madrid
FI|Finland|Europe/Helsinki
FR|France|Europe/Paris
GB|United Kingdom,UK,Great Britain,England,Scotland,Wales,Northern Ireland|Europe/London
GR|Greece|Europe/Athens
HK|Hong Kong|Asia/Hong_Kong
HR|Croatia|Europe/Zagreb
HU|Hungary|Europe/Budapest
ID|Indonesia|Asia/Jakarta
IE|Ireland|Europe/Dublin
IL|Israel|Asia/Jerusalem
IN|India|Asia/Kolkata
IS|Iceland|Atlantic/Reykjavik
IT|Italy|Europe/Rome
JP|Japan|Asia/Tokyo
KE|Kenya|Africa/Nairobi
KR|South Korea,Korea,Republic of Korea|Asia/Seoul
KW|Kuwait|Asia/Kuwait
LK|Sri Lanka|Asia/Colombo
LT|Lithuania|Europe/Vilnius
LU|Luxembourg|Europe/Luxembourg
LV|Latvia|Europe/Riga
MA|Morocco|Africa/Casablanca
MT|Malta|Europe/Malta
MX|Mexico|America/Mexico_City
MY|Malaysia|Asia/Kuala_Lumpur
NG|Nigeria|Africa/Lagos
NL|Netherlands,The Netherlands,Holland|Europe/Amsterdam
NO|Norway|Europe/Oslo
NZ|New Zealand|Pacific/Auckland
OM|Oman|Asia/Muscat
PE|Peru|America/Lima
PH|Philippines|Asia/Manila
PK|Pakistan|Asia/Karachi
PL|Poland|Europe/Warsaw
PT|Portugal|Europe/Lisbon
QA|Qatar|Asia/Qatar
RO|Romania|Europe/Bucharest
RS|Serbia|Europe/Belgrade
RU|Russia,Russian Federation|Europe/Moscow
SA|Saudi Arabia|Asia/Riyadh
SE|Sweden|Europe/Stockholm
SG|Singapore|Asia/Singapore
SI|Slovenia|Europe/Ljubljana
SK|Slovakia|Europe/Bratislava
TH|Thailand|Asia/Bangkok
TR|Turkey,Türkiye|Europe/Istanbul
TW|Taiwan|Asia/Taipei
UA|Ukraine|Europe/Kyiv
US|United States,United States of America,USA,U.S.,U.S.A.|America/New_York
UY|Uruguay|America/Montevideo
VN|Vietnam,Viet Nam|Asia/Ho_Chi_Minh
ZA|South Africa|Africa/Johannesburg
"""


def _by_name() -> dict[str, str]:
    """Index the table by code and by every name, folded."""
    zones: dict[str, str] = {}
    for line in _TABLE.split("\n"):
        if line:
            code, names, zone = line.split("|")
            zones |= {name.casefold(): zone for name in (code, *names.split(","))}
    return zones


ZONES = _by_name()
"""The zone of each country's capital, by ISO code and English name, both casefolded."""


def _codes() -> dict[str, str]:
    """Index the codes by code and by every name, folded."""
    lines = (line.split("|") for line in _TABLE.split("\n") if line)
    return {name.casefold(): code for code, names, _ in lines for name in (code, *names.split(","))}


CODES = _codes()
"""The ISO code of each country, by code and English name, both casefolded."""


def code_of(country: str | None) -> str | None:
    """Return the ISO code of a country, None for one that the table does not have."""
    return CODES.get(country.strip().casefold()) if country else None


def zone_of(country: str | None) -> str | None:
    """Return the zone of a country's capital, None for a country that the table does not have."""
    return ZONES.get(country.strip().casefold()) if country else None
