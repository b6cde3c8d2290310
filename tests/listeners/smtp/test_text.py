"""Strange mails, and what they say."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Refusal
from bridge.listeners.smtp.text import decode, read_mail
from bridge.message import Reason


def mail(*headers: str, body: bytes | str = "") -> bytes:
    octets = body.encode("ascii") if isinstance(body, str) else body
    return "\r\n".join((*headers, "", "")).encode("latin-1") + octets.replace(b"\n", b"\r\n")


def base64_lines(octets: bytes) -> str:
    return base64.encodebytes(octets).decode()


ALTERNATIVE = """--b
Content-Type: text/html; charset=utf-8

<p>html</p>
--b
Content-Type: text/plain; charset=utf-8

plain
--b--
"""

BODIES = {
    "no headers of MIME": (mail("From: a@b", body="Hello\n"), "Hello"),
    "no headers at all": (b"\r\nHello\r\n", "Hello"),
    "only a body, taken for headers that end": (b"Just words\r\n", "Just words"),
    "blank lines and blanks at line ends": (mail("A: b", body="one  \n\n\n\n\ntwo\t\n\n"), "one\n\ntwo"),
    "latin-1 that is Windows": (
        mail("Content-Type: text/plain; charset=ISO-8859-1", body=b"\x93Gr\xfc\xdfe\x94\n"),
        "“Grüße”",
    ),
    "ASCII that is not": (mail("Content-Type: text/plain; charset=us-ascii", body="Привіт".encode()), "Привіт"),
    "a charset nobody knows": (mail("Content-Type: text/plain; charset=x-klingon", body="Grüße".encode()), "Grüße"),
    "a charset nobody knows, not UTF-8": (
        mail("Content-Type: text/plain; charset=klingon", body=b"Gr\xfc\xdfe"),
        "Grüße",
    ),
    "a codec that is no charset": (mail("Content-Type: text/plain; charset=rot13", body="Uryyb"), "Uryyb"),
    "a codec that reads escapes": (mail("Content-Type: text/plain; charset=unicode_escape", body=r"\x41"), r"\x41"),
    "KOI8-U": (mail("Content-Type: text/plain; charset=koi8-u", body="Привіт".encode("koi8-u")), "Привіт"),
    "GB2312 that is GB18030": (mail("Content-Type: text/plain; charset=gb2312", body="镕".encode("gb18030")), "镕"),
    "ISO-2022-JP": (mail('Content-Type: text/plain; charset="iso-2022-jp"', body="日本".encode("iso-2022-jp")), "日本"),
    "UTF-16 in base64": (
        mail(
            "Content-Type: text/plain; charset=utf-16",
            "Content-Transfer-Encoding: base64",
            body=base64_lines("Grüße".encode("utf-16")),
        ),
        "Grüße",
    ),
    "quoted-printable": (
        mail(
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: Quoted-Printable",
            body="Gr=C3=BC=C3=9Fe an =\nalle\n",
        ),
        "Grüße an alle",
    ),
    "broken base64": (
        mail("Content-Type: text/plain", "Content-Transfer-Encoding: base64", body="SGVsbG8\n"),
        "Hello",
    ),
    "an encoding nobody knows": (mail("Content-Transfer-Encoding: x-rot", body="Hello"), "Hello"),
    "alternatives, HTML first": (mail("Content-Type: multipart/alternative; boundary=b", body=ALTERNATIVE), "plain"),
    "alternatives, an empty plain one": (
        mail("Content-Type: multipart/alternative; boundary=b", body=ALTERNATIVE.replace("plain\n--b--", " \n--b--")),
        "html",
    ),
    "an attachment before the text": (
        mail(
            "Content-Type: multipart/mixed; boundary=b",
            body="--b\nContent-Disposition: attachment\nContent-Type: text/plain\n\nlog\n--b\n\nbody\n--b--\n",
        ),
        "body",
    ),
    "a forwarded mail before the text": (
        mail(
            "Content-Type: multipart/mixed; boundary=b",
            body="--b\nContent-Type: message/rfc822\n\nSubject: x\n\ninner\n--b\n\nouter\n--b--\n",
        ),
        "outer",
    ),
    "alternatives in a mixture": (
        mail(
            "Content-Type: multipart/mixed; boundary=m",
            body=f"--m\nContent-Type: multipart/alternative; boundary=b\n\n{ALTERNATIVE}--m--\n",
        ),
        "plain",
    ),
    "no closing boundary": (mail("Content-Type: multipart/mixed; boundary=b", body="--b\n\nHello\n"), "Hello"),
    "multipart without boundary": (mail("Content-Type: multipart/mixed", body="Hello\n"), "Hello"),
    "only an image": (mail("Content-Type: image/png", body="x"), ""),
    "only a calendar": (mail("Content-Type: text/calendar", body="BEGIN:VCALENDAR"), ""),
    "a malformed type": (mail("Content-Type: text", body="Hello"), "Hello"),
    "flowed": (
        mail("Content-Type: text/plain; format=flowed", body="one \ntwo\n>  quoted \n> more\n-- \nsignature\n"),
        "one two\n>  quoted more\n--\nsignature",
    ),
    "flowed, its spaces not meant": (
        mail("Content-Type: text/plain; format=flowed; delsp=yes", body="日本 \n語\n".encode()),
        "日本語",
    ),
    "control characters": (
        mail("A: b", body=b"\xef\xbb\xbfa\x00b\x1bc\xc2\xadd\xe2\x80\x8be\tf\xc2\xa0g"),
        "abcde f g",
    ),
    "HTML alone": (
        mail("Content-Type: text/html", body="<b>Alarm</b><br>Room&nbsp;5 &amp; 6"),
        "Alarm\nRoom 5 & 6",
    ),
}


@pytest.mark.parametrize(("octets", "body"), BODIES.values(), ids=BODIES)
def test_body(octets: bytes, body: str) -> None:
    assert read_mail(octets).body == body


SUBJECTS = {
    b"Subject: plain": "plain",
    b"subject:  two \r\n\t lines ": "two lines",
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=": "Grüße",
    b"Subject: =?UTF-8?B?R3LD?= =?UTF-8?B?vMOfZQ==?=": "Grüße",  # cut inside a character
    b"Subject: =?koi8-u?B?8NLJ18bU?= and =?utf-8?q?more?=": "Привфт and more",
    b"Subject: Re: =?x-nobody?q?caf=E9?=": "Re: café",
    b"Subject: =?utf-8?b?not base64!?=": "=?utf-8?b?not base64!?=",
    b"Subject: Gr\xfc\xdfe": "Grüße",
    b"Subject: Gr\xc3\xbc\xc3\x9fe": "Grüße",
    b"Subject: =?utf-8?q?two=0D=0Alines=00?=": "two lines",
    b"X-Other: x": "",
    b"Subject:": "",
}


@pytest.mark.parametrize(("header", "subject"), SUBJECTS.items(), ids=[str(header) for header in SUBJECTS])
def test_subject(header: bytes, subject: str) -> None:
    assert read_mail(header + b"\r\n\r\nbody").subject == subject


@pytest.mark.parametrize(
    ("header", "message_id"),
    [
        (b"Message-ID: <a.b@c>", "<a.b@c>"),
        (b"Message-Id:\r\n <a@b> (comment)", "<a@b>"),
        (b"Message-ID: nothing", None),
        (b"Message-ID: <a b>", None),
        (b"X: y", None),
    ],
)
def test_message_id(header: bytes, message_id: str | None) -> None:
    assert read_mail(header + b"\r\n\r\nbody").message_id == message_id


def test_mail_nested_without_end_is_refused() -> None:
    octets = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(5000)
    )
    with pytest.raises(Refusal, match="nested") as caught:
        read_mail(octets)
    assert caught.value.reason == Reason.INVALID_TEXT


def test_only_the_beginning_of_a_header_is_read() -> None:
    letter = read_mail(b"Subject: " + b"=?a?q?" * 1_000_000 + b"\r\n\r\nbody")
    assert len(letter.subject) == 2000
    assert letter.body == "body"


def test_decode_takes_any_octets() -> None:
    assert decode(b"\x81\x8d", "utf-8") == "\x81\x8d"


WORDS = [
    b"Content-Type: ",
    b"multipart/mixed; boundary=b",
    b"text/html",
    b"; charset=",
    b"\r\n",
    b"--b",
    b"<![x[",
    b"=",
]


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(WORDS)), max_size=30).map(b"".join))
def test_any_octets_are_read(octets: bytes) -> None:
    letter = read_mail(octets)
    assert (letter.subject + letter.body).encode("utf-8") is not None
    assert "\r" not in letter.body
    assert "\0" not in letter.body
