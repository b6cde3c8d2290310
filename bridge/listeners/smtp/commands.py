"""The arguments of MAIL and RCPT: paths, and the parameters of SIZE, 8BITMIME, SMTPUTF8, AUTH and DSN.

Pure. What a client wrote wrong is raised as `Rejected` with the reply that RFC 5321 §4.2.4 and RFC 3463 give it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from bridge.errors import BridgeError

_LOCAL_MAX = 64  # octets: RFC 5321 §4.5.3.1.1
_DOMAIN_MAX = 255  # octets: §4.5.3.1.2
_ADDRESS_MAX = 254  # octets: §4.5.3.1.3, less the angle brackets
_ENVID_MAX = 100  # characters: RFC 3461 §4.4
_ORCPT_MAX = 500  # characters: RFC 3461 §4.2

# A source route before the address is read over (RFC 5321 §4.1.1.3); old devices leave the angle brackets out.
_PATH = re.compile(
    r"""\s*(?: <\s*(?:@[^:<>"\s]*:)?(?P<inside>(?:"(?:[^"\\]|\\.)*"|[^<>"\s])*)\s*> | (?P<bare>[^<>\s]+) )
        (?:\s+(?P<parameters>.*))?""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)+"')
_ATOMS = re.compile(r"""[^\s"(),:;<>@\[\\\]]+""")  # what needs no quotes: RFC 5321 §4.1.2
_DOMAIN = re.compile(r"""[^\s"(),;<>@\\]+""")  # names, and literals in brackets
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 §4
_XCHAR = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]+")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class Rejected(BridgeError):
    """A command that cannot be followed; `reply` is the line that says so."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class MailCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What MAIL said; `address` is `""` for the null sender."""

    address: str
    size: int = 0
    ret: str | None = None  # FULL | HDRS
    envid: str | None = None


class RcptCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What RCPT said."""

    address: str
    notify: tuple[str, ...] = ()  # NEVER alone, or some of SUCCESS FAILURE DELAY; empty: not said
    orcpt: str | None = None  # address-type;address, decoded


def mail_command(argument: str) -> MailCommand:
    """MAIL's argument, `FROM:<path>` and parameters (RFC 5321 §4.1.1.2). Raises Rejected."""
    path, parameters = _path_and_parameters(argument, "FROM")
    utf8 = parameters.pop("SMTPUTF8", False)
    if utf8 not in (False, None):
        raise Rejected("501 5.5.4 SMTPUTF8 takes no value")
    body = parameters.pop("BODY", "7BIT")
    if (body or "").upper() not in ("7BIT", "8BITMIME"):
        raise Rejected("501 5.5.4 BODY is 7BIT or 8BITMIME")
    size = parameters.pop("SIZE", "0") or ""
    if not (size.isascii() and size.isdigit() and len(size) <= 20):
        raise Rejected("501 5.5.4 SIZE is a number of octets")
    ret = parameters.pop("RET", "HDRS") or ""
    if ret.upper() not in ("FULL", "HDRS"):
        raise Rejected("501 5.5.4 RET is FULL or HDRS")
    envid = _xtext(parameters.pop("ENVID"), "ENVID", _ENVID_MAX) if "ENVID" in parameters else None
    parameters.pop("AUTH", None)  # who submitted it first (RFC 4954 §5); only the account of this session counts here
    _no_more(parameters)
    if path:
        _check_address(path, utf8=utf8 is None)
    return MailCommand(address=path, size=int(size), ret=ret.upper(), envid=envid)


def rcpt_command(argument: str) -> RcptCommand:
    """RCPT's argument, `TO:<path>` and parameters (RFC 5321 §4.1.1.3, RFC 3461 §4). Raises Rejected."""
    path, parameters = _path_and_parameters(argument, "TO")
    notify: tuple[str, ...] = ()
    if "NOTIFY" in parameters:
        notify = tuple(word.upper() for word in (parameters.pop("NOTIFY") or "").split(","))
        if notify != ("NEVER",) and not _NOTIFY.issuperset(notify):
            raise Rejected("501 5.5.4 NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY")
    orcpt = None
    if "ORCPT" in parameters:
        kind, semicolon, address = (parameters.pop("ORCPT") or "").partition(";")
        if not semicolon or not _ADDRESS_TYPE.fullmatch(kind):
            raise Rejected("501 5.5.4 ORCPT is an address type, a semicolon and an address")
        orcpt = f"{kind};{_xtext(address, 'ORCPT', _ORCPT_MAX)}"
    _no_more(parameters)
    if not path:
        raise Rejected("501 5.1.3 A recipient is <number@domain>")
    # SMTPUTF8 was MAIL's to say; an address of ours is ASCII, so a foreign one is told so when it is looked at.
    _check_address(path, utf8=True)
    return RcptCommand(address=path, notify=notify, orcpt=orcpt)


def split_address(address: str) -> tuple[str, str]:
    """Local part, without quotes, and domain, lower case, of an address that was checked here."""
    local, _, domain = address.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local, domain.lower().rstrip(".")


def _path_and_parameters(argument: str, keyword: str) -> tuple[str, dict[str, str | None]]:
    word, colon, rest = argument.partition(":")
    match = _PATH.fullmatch(rest) if colon and word.strip().upper() == keyword else None
    if match is None:
        raise Rejected(f"501 5.5.4 Syntax: {keyword}:<address> [parameters]")
    parameters: dict[str, str | None] = {}
    for parameter in (match["parameters"] or "").split():
        name, equals, value = parameter.partition("=")
        name = name.upper()
        if not _KEYWORD.fullmatch(name) or (equals and not value) or name in parameters:
            raise Rejected("501 5.5.4 A parameter is KEYWORD or KEYWORD=value, and none comes twice")
        parameters[name] = value if equals else None
    return match["inside"] if match["bare"] is None else match["bare"], parameters


def _check_address(address: str, *, utf8: bool) -> None:
    local, _, domain = address.rpartition("@")
    try:
        sizes = len(local.encode()), len(domain.encode())
    except UnicodeEncodeError:
        raise Rejected("501 5.6.7 The address is not UTF-8") from None
    if not (_QUOTED.fullmatch(local) or _ATOMS.fullmatch(local)) or not _DOMAIN.fullmatch(domain):
        raise Rejected("501 5.1.3 An address is local-part@domain")
    if not address.isprintable():
        raise Rejected("501 5.1.3 The address holds control characters")
    if sizes[0] > _LOCAL_MAX or sizes[1] > _DOMAIN_MAX or sum(sizes) + 1 > _ADDRESS_MAX:
        raise Rejected("501 5.1.3 The address is too long")
    if not utf8 and not address.isascii():
        raise Rejected("553 5.6.7 An address that is not ASCII needs SMTPUTF8")


def _xtext(value: str | None, name: str, longest: int) -> str:
    # Decoded it goes into a header of the report: nothing but printable ASCII may come out.
    if value and len(value) <= longest and _XTEXT.fullmatch(value):
        decoded = _XCHAR.sub(lambda match: chr(int(match[1], 16)), value)
        if decoded.isascii() and decoded.isprintable():
            return decoded
    raise Rejected(f"501 5.5.4 {name} is xtext of printable ASCII, at most {longest} characters (RFC 3461)")


def _no_more(parameters: Mapping[str, str | None]) -> None:
    if parameters:
        raise Rejected("555 5.5.4 A parameter is not known here")
