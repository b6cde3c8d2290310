"""What a client says in AUTH, asked for as far as it has not said it."""

from __future__ import annotations

import base64

import pytest

from bridge.listeners.smtp.auth import credentials
from bridge.listeners.smtp.commands import Rejected


def b64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


class Asked:
    """Answers prompts in turn."""

    def __init__(self, *lines: str) -> None:
        self.prompts: list[str] = []
        self._lines = list(lines)

    async def __call__(self, prompt: str) -> bytes:
        self.prompts.append(base64.b64decode(prompt).decode())
        return self._lines.pop(0).encode()


@pytest.mark.parametrize(
    ("arg", "lines", "prompts"),
    [
        (f"PLAIN {b64(chr(0) + 'acme' + chr(0) + 'sécret')}", [], []),
        ("plain", [b64("acme\0acme\0sécret")], [""]),
        ("LOGIN", [b64("acme"), b64("sécret")], ["Username:", "Password:"]),
        (f"Login {b64('acme')}", [b64("sécret")], ["Password:"]),
    ],
)
async def test_credentials(arg: str, lines: list[str], prompts: list[str]) -> None:
    ask = Asked(*lines)
    assert await credentials(arg, ask) == ("acme", "sécret")
    assert ask.prompts == prompts


@pytest.mark.parametrize(
    ("arg", "lines", "reply"),
    [
        ("", [], "504 5.5.4"),
        ("CRAM-MD5", [], "504 5.5.4"),
        ("PLAIN =", [], "501 5.5.2"),
        ("PLAIN !", [], "501 5.5.2"),
        (f"PLAIN {b64('acme')}", [], "501 5.5.2"),
        (f"PLAIN {b64('root' + chr(0) + 'acme' + chr(0) + 'x')}", [], "535 5.7.8"),
        ("PLAIN", ["*"], "501 5.7.0"),
        ("LOGIN", [b64("acme"), "*"], "501 5.7.0"),
    ],
)
async def test_what_is_none(arg: str, lines: list[str], reply: str) -> None:
    with pytest.raises(Rejected) as caught:
        await credentials(arg, Asked(*lines))
    assert caught.value.reply.startswith(reply)
