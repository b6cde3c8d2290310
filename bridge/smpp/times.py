"""schedule_delivery_time and validity_period: the 16 characters `YYMMDDhhmmsstnnp` (3.4 §7.1.1, 5.0 §4.7.23).

`t` is tenths of a second, `nn` the offset from UTC in quarters of an hour, `p` is `+` or `-` for a point in time and
`R` for a span from now. Years are 20xx: the pivot of 3.4 Appendix C cannot matter for a time that is still to come.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta

_LENGTH = 16
_QUARTERS_MAX = 48


class TimeError(ValueError):
    """The text is not a time as SMPP writes it: answer RINVSCHED or RINVEXPIRY, whichever field it was."""


def parse_time(text: str, now: float) -> float | None:
    """The Unix time (seconds, UTC) that `text` means at `now`, or None when it is empty.

    A span counts in calendar months and years, and a day that the month does not have becomes its last. All zeros are
    `now`; a span's fields may be 00 to 99, since `48 hours` is met and means one thing. A time in the past is returned
    as it is: whether it is too late is for the caller. Raises TimeError.
    """
    if not text:
        return None
    if len(text) != _LENGTH:
        raise TimeError(f"a time has {_LENGTH} characters, not {len(text)}")
    digits, sign = text[:-1], text[-1]
    if not (digits.isascii() and digits.isdigit()):
        raise TimeError("a time has digits before its last character")
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        if sign == "R":
            start = _add_months(datetime.fromtimestamp(now, UTC), year * 12 + month)
            return (start + timedelta(days=day, hours=hour, minutes=minute, seconds=second)).timestamp()
        tenths, quarters = int(digits[12]), int(digits[13:15])
        if sign not in "+-" or quarters > _QUARTERS_MAX:
            raise TimeError("a time ends with an offset of 00 to 48 quarters of an hour and +, - or R")
        local = datetime(2000 + year, month, day, hour, minute, second, tenths * 100_000, tzinfo=UTC)
        offset = timedelta(minutes=15 * quarters)
        return (local - offset if sign == "+" else local + offset).timestamp()
    except (ValueError, OverflowError) as problem:
        raise TimeError(f"not a time: {problem}") from problem


def format_absolute(at: float) -> str:
    """A Unix time of 2000-2099 as a point in time, UTC, whole tenths (rounded down). Raises TimeError outside."""
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError) as problem:
        raise TimeError("not a time that has a year") from problem
    if not 2000 <= moment.year <= 2099:
        raise TimeError("two digits hold the years 2000 to 2099")
    return f"{moment:%y%m%d%H%M%S}{moment.microsecond // 100_000}00+"


def _add_months(start: datetime, months: int) -> datetime:
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    if year > 9999:
        raise OverflowError("the year is above 9999")
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
