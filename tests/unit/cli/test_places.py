"""Where a configuration keeps things, also where the rest of it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from bridge.cli.places import control_of, store_of


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(text)
    return path


def test_the_socket_is_beside_the_store(tmp_path: Path) -> None:
    config = written(tmp_path, "store: sqlite:/var/lib/x/bridge.db\naccounts: {acme: '${credential:nowhere}'}\n")
    assert store_of(config) == Path("/var/lib/x/bridge.db")
    assert control_of(config) == Path("/var/lib/x/bridge.db.sock")


def test_the_socket_is_where_it_is_configured(tmp_path: Path) -> None:
    config = written(tmp_path, "store: sqlite:bridge.db\ncontrol: {socket: /run/x.sock, group: sms}\n")
    assert control_of(config) == Path("/run/x.sock")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("store: postgres:x\n", "bridge.yaml: store: is not sqlite:PATH"),
        ("- 1\n", "bridge.yaml: store: is not sqlite:PATH"),
        ("store: sqlite:b.db\ncontrol: {socket: /run/x/}\n", "bridge.yaml: control: a socket is the path of a file"),
        ("store: sqlite:b.db\ncontrol: {socket: '${credential:x}'}\n", "bridge.yaml: control: "),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(typer.Exit) as end:
        control_of(written(tmp_path, text))
    assert end.value.exit_code == 2
    assert capsys.readouterr().err.startswith(told)
