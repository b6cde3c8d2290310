"""What of a mail's text nobody wants on a phone: signature, quoted mails, disclaimers, and what follows an end mark.

Pure. Cuts at what mail programs write themselves; where nothing is sure, the text stays. All in time that grows with
the length.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_SIGNATURE = re.compile(
    r"--\s*|_{20,}|(?:Sent|Gesendet|Envoyé|Enviado|Отправлено|Надіслано) (?:from|von|depuis|desde|с|з) .{1,60}"
    r"|Get Outlook for .{1,60}|Von meinem .{1,40} gesendet",
    re.IGNORECASE,
)
# Outlook, Gmail and Apple, and their languages; "On … wrote:" may be cut in two lines.
_QUOTE_BEGINS = re.compile(
    r"-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Исходное сообщение|Forwarded message"
    r"|Mensaje original) ?-{2,}|Begin forwarded message:",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    r"(?:On|Am|Le|El|Op|Il|Em) .{6,200}(?:wrote|schrieb.{0,120}|a écrit|escribió|schreef|ha scritto|escreveu) ?:"
    r"|.{6,200}(?:пишет|написал|написала|пише|написав) ?:",
    re.IGNORECASE,
)
_FIELD = re.compile(r"\*?(?:From|Von|De|Da|От|Від) ?:\*? .+", re.IGNORECASE)
_FIELD_AFTER = re.compile(
    r"\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Отправлено|Дата|To|An|À|Кому) ?:", re.IGNORECASE
)
_DISCLAIMER = re.compile(
    r"[*_ ]*(?:(?:Confidentiality|Legal|Privacy) notice|Disclaimer|CONFIDENTIAL(?:ITY)?:|Haftungsausschluss"
    r"|This (?:e-?mail|message|communication)(?: and any \w+)?(?: \w+){0,6} (?:confidential|privileged|intended)"
    r"|The (?:information|contents?)(?: \w+){0,8} (?:confidential|privileged|intended)"
    r"|Diese E-?Mail(?: \w+){0,4} vertrauliche|Please consider the environment"
    r"|Это (?:сообщение|письмо)(?: \w+){0,6} конфиденциальн)",
    re.IGNORECASE,
)


def trimmed(text: str, cut: Collection[str], end_mark: str | None) -> str:
    """The text up to `end_mark`, without what `cut` names: signature, quote, disclaimer."""
    if end_mark is not None:
        text = text.partition(end_mark)[0]
    if not cut:
        return text.strip()
    lines = text.split("\n")
    end = next((at for at in range(len(lines)) if _ends(lines, at, cut)), len(lines))
    kept = lines[:end]
    if "quote" in cut:
        kept = [line for line in kept if not line.startswith(">")]
    return "\n".join(kept).strip()


def _ends(lines: list[str], at: int, cut: Collection[str]) -> bool:
    line = lines[at].strip()[:400]
    if "signature" in cut and _SIGNATURE.fullmatch(line):
        return True
    if "disclaimer" in cut and _DISCLAIMER.match(line):
        return True
    if "quote" not in cut or not line:
        return False
    following = lines[at + 1].strip()[:200] if at + 1 < len(lines) else ""
    return bool(
        _QUOTE_BEGINS.fullmatch(line)
        or _ATTRIBUTION.fullmatch(line)
        or (line.startswith(("On ", "Am ", "Le ")) and _ATTRIBUTION.fullmatch(f"{line} {following}"))
        or (_FIELD.fullmatch(line) and _FIELD_AFTER.match(following))
    )


def shortened(text: str, fits: int) -> str:
    """At most `fits` characters with an ellipsis of three dots, which every alphabet has; at a word's end if near."""
    kept = text[: max(0, fits - 3)]
    space = max(kept.rfind(" "), kept.rfind("\n"))
    if space > len(kept) - 20 and space > 0:
        kept = kept[:space]
    return kept.rstrip() + "..."
