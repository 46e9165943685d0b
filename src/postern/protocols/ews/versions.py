"""Schema versions that clients ask for, and what a server says of itself (MS-OXWSCDATA 2.2.3.10)."""

from __future__ import annotations

from enum import IntEnum


class Version(IntEnum):
    """Steps of the schema; each contains those before it."""

    EXCHANGE_2007 = 0
    EXCHANGE_2007_SP1 = 1
    EXCHANGE_2010 = 2
    EXCHANGE_2010_SP1 = 3
    EXCHANGE_2010_SP2 = 4
    EXCHANGE_2013 = 5
    EXCHANGE_2013_SP1 = 6
    EXCHANGE_2016 = 7


NAMES = {
    "Exchange2007": Version.EXCHANGE_2007,
    "Exchange2007_SP1": Version.EXCHANGE_2007_SP1,
    "Exchange2009": Version.EXCHANGE_2010,
    "Exchange2010": Version.EXCHANGE_2010,
    "Exchange2010_SP1": Version.EXCHANGE_2010_SP1,
    "Exchange2010_SP2": Version.EXCHANGE_2010_SP2,
    "Exchange2012": Version.EXCHANGE_2013,
    "Exchange2013": Version.EXCHANGE_2013,
    "Exchange2013_SP1": Version.EXCHANGE_2013_SP1,
    "Exchange2015": Version.EXCHANGE_2016,
    "Exchange2016": Version.EXCHANGE_2016,
}
"""What RequestServerVersion may say; the dated ones that followed (`V2017_07_11`) count as the last of these."""


def requested(name: str) -> Version | None:
    """The version a client wants its answer in; None: nobody knows it."""
    found = NAMES.get(name)
    if found is None and name.startswith(("V201", "V202")):
        return Version.EXCHANGE_2016
    return found


SERVER_VERSION_INFO = (
    '<t:ServerVersionInfo xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
    ' MajorVersion="15" MinorVersion="0" MajorBuildNumber="847" MinorBuildNumber="32" Version="Exchange2013_SP1"/>'
)
"""In every answer's header. Thunderbird adopts the version it reads here, and knows none after Exchange2013_SP1."""
