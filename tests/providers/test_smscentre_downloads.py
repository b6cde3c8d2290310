"""Deferred tasks as SMS Center shows them: in JSON, by name, or bare; and its errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from providers.subjects import subject

from bridge.providers import Export, NotExported, Response
from bridge.providers._cases.making import same_request
from bridge.providers._smscentre_downloads import Downloads

WHOLE = Export(export_id="7", name="March", state="done", created="01.04", started="02.04", file="m.csv")


def downloads() -> Downloads:
    exports = subject("smscentre").make().exports()
    assert isinstance(exports, Downloads)
    return exports


def test_requests() -> None:
    common = {"apikey": "k3y-s3cret", "fmt": "3", "charset": "utf-8"}
    expected = {"method": "POST", "url": "https://smscentre.com/sys/downloads.php"}
    same_request(downloads().listing(), expected | {"form": common | {"get_list": "1"}})
    same_request(downloads().file("7"), expected | {"form": common | {"get_file": "1", "id": "7"}})


@pytest.mark.parametrize(
    "body",
    [
        '[{"id": 7, "name": "March", "status": 2, "created": "01.04", "time": "02.04", "file": "m.csv"}]',
        '{"id": "7", "name": "March", "status": "2", "created": "01.04", "time": "02.04", "file": "m.csv"}',
        "id = 7, name = March, status = 2, created = 01.04, time = 02.04, file = m.csv\n",
        "7,March,2,01.04,02.04,m.csv",
    ],
)
def test_task_is_read_in_every_form(body: str) -> None:
    assert downloads().listing_of(Response(status=200, body=body.encode())) == [WHOLE]


@pytest.mark.parametrize(
    ("status", "state"),
    [("0", "pending"), ("1", "running"), ("2", "done"), ("3", "cancelled"), ("4", "failed"), ("9", "unknown")],
)
def test_every_state(status: str, state: str) -> None:
    (export,) = downloads().listing_of(Response(status=200, body=f"7,March,{status}".encode()))
    assert export.state == state


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (200, '{"error": "duplicate request", "error_code": 9}', "error 9: the same was asked"),
        (200, "ERROR = 2 (authorise error)", "error 2: the login is wrong"),
        (200, "0,-4", "error 4: this machine"),
        (200, '{"error": "new", "error_code": 77}', "error 77: new"),
        (502, "<html>", "HTTP 502"),
    ],
)
def test_error_is_told(status: int, body: str, text: str) -> None:
    response = Response(status=status, body=body.encode())
    for understand in (downloads().listing_of, downloads().file_of):
        with pytest.raises(NotExported, match=text):
            understand(response)


def test_file_is_kept_byte_for_byte() -> None:
    assert downloads().file_of(Response(status=200, body=b"\xef\xbb\xbf1;\xff\r\n")) == b"\xef\xbb\xbf1;\xff\r\n"


@given(st.binary(max_size=200), st.sampled_from([200, 404]))
def test_any_bytes_are_tasks_or_an_error(body: bytes, status: int) -> None:
    try:
        found = downloads().listing_of(Response(status=status, body=body))
    except NotExported:
        return
    assert all(export.export_id for export in found)
