"""Logs: structlog to stderr, JSON unless it is a terminal; numbers masked and texts left out unless asked for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

_LEVELS: Mapping[str, int] = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_NUMBERS = frozenset({"to", "from", "source", "destination", "number"})
_TEXTS = frozenset({"message_text", "subject"})


def mask(number: str) -> str:
    """A number with its middle hidden, such as `3809****01`; what is too short is hidden wholly."""
    return f"{number[:4]}****{number[-2:]}" if len(number) > 7 else "****"


def configure(
    level: Literal["debug", "info", "warning"] = "info",
    form: Literal["auto", "json", "console"] = "auto",
    *,
    show_text: bool = False,
) -> None:
    """Sets logging up for the process. `show_text`: numbers and texts as they are."""
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not show_text:
        processors.append(_hide)
    if form == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries speak through the standard library; only their warnings are of use here.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    logging.getLogger("mail.log").setLevel(logging.ERROR)


def _hide(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in _NUMBERS & event.keys():
        event[key] = mask(str(event[key]))
    for key in _TEXTS & event.keys():
        event[key] = f"<{len(str(event[key]))}>"
    return event
