"""TLS files: readable, usable, and fitting together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.config.files import unusable_files

TLS = Path(__file__).parent / "tls"


def texts(**tls: Any) -> list[tuple[str | int, str]]:
    """The last key and the text of each problem of one listener's `tls`."""
    found = unusable_files({"listeners": {"smtp": [{"listen": ":1"}, {"listen": ":2", "tls": tls}]}})
    problems = list(found)
    assert all(problem.path[:-1] == ("listeners", "smtp", 1, "tls") for problem in problems)
    return [(problem.path[-1], problem.text) for problem in problems]


def test_files_that_fit_are_no_problem() -> None:
    assert texts(certificate=f"{TLS}/cert.pem", key=f"{TLS}/key.pem", client_ca=f"{TLS}/cert.pem") == []


def test_every_missing_file_is_told() -> None:
    assert texts(certificate="/nowhere/c", key="/nowhere/k", client_ca="/nowhere/a") == [
        ("certificate", "/nowhere/c cannot be read: No such file or directory"),
        ("key", "/nowhere/k cannot be read: No such file or directory"),
        ("client_ca", "/nowhere/a cannot be read: No such file or directory"),
    ]


def test_key_of_another_certificate_is_told() -> None:
    assert texts(certificate=f"{TLS}/cert.pem", key=f"{TLS}/other.pem") == [
        ("certificate", "the certificate and its key cannot be used: key values mismatch")
    ]


def test_file_that_is_no_pem_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    [(key, text)] = texts(certificate=f"{TLS}/cert.pem", key=f"{TLS}/key.pem", client_ca=f"{tmp_path}/text")
    assert key == "client_ca"
    assert "cannot be used" in text
    [(key, text)] = texts(certificate=f"{tmp_path}/text", key=f"{TLS}/key.pem")
    assert key == "certificate"
    assert "cannot be used" in text


def test_key_with_a_password_is_told_and_asks_nobody() -> None:

    [(key, text)] = texts(certificate=f"{TLS}/cert.pem", key=f"{TLS}/locked.pem")
    assert key == "certificate"
    assert "cannot be used" in text


@pytest.mark.parametrize(
    "data",
    [None, {}, {"listeners": []}, {"listeners": {"smtp": {}}}, {"listeners": {"smtp": [{"tls": {"key": "k"}}, 5]}}],
)
def test_wrong_shape_is_for_the_schema_to_tell(data: Any) -> None:
    assert list(unusable_files(data)) == []
