"""Mails as they are written in the field, `corpus/NAME.eml`, and what of them a person would read, `NAME.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.listeners.smtp.text import read_mail
from bridge.listeners.smtp.trim import trimmed

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.eml"))


@pytest.mark.parametrize("name", NAMES)
def test_text_of_a_mail(name: str) -> None:
    body = read_mail((CORPUS / f"{name}.eml").read_bytes()).body
    assert trimmed(body, ("signature", "quote", "disclaimer"), None) == (CORPUS / f"{name}.txt").read_text()


def test_mail_of_20_megabytes() -> None:
    mail = (CORPUS / "mixed-pdf.eml").read_bytes().replace(b"%PDF", b"x" * 76 + (b"\r\n" + b"x" * 76) * 270_000)
    assert read_mail(mail).body == "See attached"
    assert read_mail(mail).attached


def test_corpus_is_complete() -> None:
    assert len(NAMES) >= 60
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(NAMES)
