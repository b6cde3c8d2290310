"""What a mail says: the text a person would read, its subject and its Message-ID.

Pure. MIME is read by the standard library (RFC 2045-2047, 2231, 3676); what real senders get wrong is read as they
meant it: unknown or false charsets, raw 8-bit headers, HTML without text.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message as Part

import msgspec

from bridge.errors import Refusal
from bridge.listeners.smtp.markup import text_of_html
from bridge.message import Reason

# What senders call ASCII and Latin-1 holds the quotes and dashes of Windows; the others are supersets as well.
_CHARSETS = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
}
# Codecs of Python that are no charsets of mail: they mean something else, or take their time.
_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "unicode-escape", "raw_unicode_escape"})
_HEADER_MAX = 8192  # characters that are read of one; the decoder of the library may take the square of it
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_OPTION_MAX = 500  # characters
_SUBJECT_MAX = 2000  # characters

_CLEAN: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x2060, 0xFEFF)),
    **dict.fromkeys((0x0A, 0x2028, 0x2029), "\n"),
    # One of these would turn a whole GSM 7-bit text into UCS-2, at twice the price.
    **dict.fromkeys((0x09, 0xA0, 0x2007, 0x202F), " "),
}
_BLANK_LINES = re.compile(r"\n{3,}")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a mail; `""` where there is nothing."""

    subject: str
    body: str
    message_id: str | None = None  # with its angle brackets
    attached: bool = False  # something that is no text goes with it
    options: dict[str, str] = {}  # headers X-SMS-Name: value, as name: value in lower-case names


def read_mail(octets: bytes, charset: str = "") -> Letter:
    """Reads a mail as it came through DATA (RFC 5322); `charset` is that of texts which name none.

    Raises Refusal when it is nested beyond reason.
    """
    try:
        mail = message_from_bytes(octets)
        body = _readable(mail, charset) or ""
    except RecursionError:
        raise Refusal(Reason.INVALID_TEXT, "the mail is nested too deeply") from None
    message_id = _MESSAGE_ID.search(_header(mail, "message-id"))
    return Letter(
        subject=" ".join(_clean(_decode_words(_header(mail, "subject"))).split())[:_SUBJECT_MAX],
        body=_clean(body),
        message_id=message_id[0] if message_id else None,
        attached=any(map(_is_attachment, mail.walk())),
        options=_options(mail),
    )


def _is_attachment(part: Part) -> bool:
    if part.is_multipart() or part.get_content_type() in ("text/calendar", "message/delivery-status"):
        return False
    # Pictures of a signature have a Content-ID: they belong to the HTML.
    return part.get_content_disposition() == "attachment" or (
        part.get_content_maintype() != "text" and part.get("content-id") is None
    )


def _options(mail: Part) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in mail.raw_items():
        if name.lower().startswith("x-sms-"):
            found.setdefault(name[6:].lower(), " ".join(_clean(_decode_words(str(value)[:_OPTION_MAX])).split()))
    return found


def _readable(part: Part, charset: str = "") -> str | None:
    """The text of a part, None without one: of alternatives the plain one, of a mixture the first that has a text."""
    if part.is_multipart():
        if part.get_content_maintype() != "multipart":
            return None  # message/rfc822: somebody else's words
        children = [child for child in part.get_payload() if isinstance(child, Part)]
        if part.get_content_subtype() == "alternative":
            children.sort(key=lambda child: child.get_content_type() != "text/plain")
        return next((text for child in children if (text := _readable(child, charset))), None)
    kind = part.get_content_type()
    if kind.startswith("multipart/"):
        kind = "text/plain"  # without a boundary there is but one part
    if kind not in ("text/plain", "text/html") or part.get_content_disposition() == "attachment":
        return None
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes):
        return None
    text = decode(octets, _parameter(part, "charset") or charset)
    if kind == "text/html":
        text = text_of_html(text)
    elif _parameter(part, "format").lower() == "flowed":
        text = _unflow(text, delete_space=_parameter(part, "delsp").lower() == "yes")
    return text if text.strip() else None


def decode(octets: bytes, charset: str) -> str:
    """Text of `octets`: by the charset, else UTF-8, else Windows-1252, else Latin-1, which knows every octet."""
    name = charset.strip(" '\"").lower()
    for candidate in (_CHARSETS.get(name, name), "utf-8", "cp1252"):
        if candidate and candidate not in _NOT_CHARSETS:
            try:
                return octets.decode(candidate)
            except (LookupError, ValueError):
                continue
    return octets.decode("latin-1")


def _parameter(part: Part, name: str) -> str:
    value = part.get_param(name, "")
    # RFC 2231: (charset, language, value)
    return (value[2] if isinstance(value, tuple) else value) or ""


def _header(mail: Part, name: str) -> str:
    for key, value in mail.raw_items():
        if key.lower() == name:
            text = str(value)[:_HEADER_MAX]
            # 8-bit octets came through the parser as lone surrogates.
            return text if text.isascii() else decode(text.encode("utf-8", "surrogateescape"), "utf-8")
    return ""


def _decode_words(value: str) -> str:
    """Encoded words of a header as text (RFC 2047)."""
    try:
        pieces = decode_header(value)
    except HeaderParseError:
        return value
    if len(pieces) == 1 and isinstance(pieces[0][0], str):
        return pieces[0][0]
    # Beside encoded words the library gives the rest as raw-unicode-escape octets.
    return "".join(
        decode(octets, charset) if charset else octets.decode("raw-unicode-escape", "replace")
        for octets, charset in pieces
    )


def _unflow(text: str, *, delete_space: bool) -> str:
    """Paragraphs of `format=flowed` put together again (RFC 3676 §4)."""
    paragraphs: list[str] = []
    open_depth: int | None = None  # how deep the paragraph is quoted that goes on
    for line in text.splitlines():
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # space-stuffing
        if open_depth == depth and content != "-- ":
            paragraphs[-1] += content
        else:
            paragraphs.append("> " * depth + content)
        open_depth = None
        if content.endswith(" ") and content != "-- ":
            open_depth = depth
            if delete_space:
                paragraphs[-1] = paragraphs[-1][:-1]
    return "\n".join(paragraphs)


def _clean(text: str) -> str:
    unified = text.replace("\r\n", "\n").replace("\r", "\n").translate(_CLEAN)
    # A lone surrogate cannot be stored or sent; utf-7 and escapes can make one.
    sound = unified.encode("utf-8", "replace").decode("utf-8")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in sound.split("\n"))).strip()
