"""The generated parts of the documentation: `python tests/shape/generate.py` writes them anew.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; what it holds is made here from the code, so that
it cannot differ from it; the pages of `docs/reference/providers/` are made as a whole. A test fails when one is stale.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from prometheus_client import Gauge, Metric

from bridge import cli, message, providers
from bridge.listeners.http import translate as http
from bridge.listeners.smpp import statuses as smpp
from bridge.listeners.smtp import translate as smtp
from bridge.message import Reason, State
from bridge.smpp.receipts import WORDS
from bridge.telemetry import metrics

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from shape.declared_tables import tables
from shape.provider_pages import FOLDER, matrix, provider_pages
from shape.settings_tables import tables_of_settings

ROOT = Path(__file__).parents[2]
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MEANINGS = {
    State.SCHEDULED: "held until the time that its client asked for",
    State.ENROUTE: "with a provider",
    State.DELIVERED: "on the handset",
    State.EXPIRED: "not sent or not delivered while it was valid",
    State.DELETED: "cancelled",
    State.UNDELIVERABLE: "the network gave up",
    State.ACCEPTED: "held by us, not yet taken by a provider",
    State.UNKNOWN: "nobody will tell any more",
    State.REJECTED: "refused by us after it was taken, or by the provider",
}


def pages(root: Path = ROOT) -> list[Path]:
    """README.md and every page of the documentation."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def renewed(text: str) -> str:
    """A page with its generated parts as they should be. Raises KeyError for a part that nothing here makes."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", text)


def parts_in(text: str) -> list[str]:
    """The names of the generated parts of a page."""
    return [part[2] for part in _PART.finditer(text)]


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    names = list(columns)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text in a table: a bar would end the cell, and `<number>` outside of code would be a tag."""
    pieces = text.replace("|", "\\|").split("`")
    return "`".join(piece if number % 2 else piece.replace("<", "&lt;") for number, piece in enumerate(pieces))


# --- message.py ---------------------------------------------------------------------------------------------------


def states() -> str:
    """Every state, by its number in SMPP."""
    return table(
        ("State", "`message_state`", "Final", "`stat` of a receipt", "What it means"),
        (
            (f"`{state.word}`", str(int(state)), "yes" if state.final else "", f"`{WORDS[state]}`", _MEANINGS[state])
            for state in State
        ),
    )


def reasons() -> str:
    """Every reason with the comment beside it; the comments that stand alone part them into groups."""
    source = inspect.getsource(message.Reason)
    groups: list[str] = []
    rows: list[tuple[str, str]] = []
    for line in source.splitlines():
        if group := re.fullmatch(r"    # --- (.+)", line):
            groups += [_reason_rows(rows)] if rows else []
            groups.append(f"**{group[1][0].upper()}{group[1][1:]}**")
            rows = []
        elif member := re.fullmatch(r'    [A-Z_]+ = "(\w+)"  # (.+)', line):
            rows.append((f"`{member[1]}`", member[2]))
    text = "\n\n".join([*groups, _reason_rows(rows)])
    assert text.count("\n| `") == len(Reason), "a reason without a comment"
    return text


def _reason_rows(rows: list[tuple[str, str]]) -> str:
    return table(("Reason", "What it means"), rows)


# --- one table of each listener -----------------------------------------------------------------------------------


def reasons_http() -> str:
    """The HTTP status of a refusal."""
    return table(("`code`", "Status"), ((f"`{reason}`", str(http.STATUS[reason])) for reason in Reason))


def reasons_smpp() -> str:
    """The command_status of a refusal, and the error of a receipt."""
    return table(
        ("Reason", "`command_status`", "", "`err` of a receipt"),
        (
            (f"`{reason}`", f"`ESME_{smpp.STATUS[reason].name}`", f"0x{smpp.STATUS[reason]:02X}", smpp.ERROR[reason])
            for reason in Reason
        ),
    )


def reasons_smtp() -> str:
    """The reply to a refusal."""
    return table(("Reason", "Reply"), ((f"`{reason}`", f"`{smtp.REPLY[reason]}`") for reason in Reason))


# --- providers, metrics -------------------------------------------------------------------------------------------


def virtual() -> str:
    """What the built-in provider does, by the table of its docstring."""
    text = inspect.getdoc(providers.load("virtual")) or ""
    body = text.split("\n========")[2].partition("\n")[2]
    rows = [re.split(r" {2,}|(?<=other) ", line, maxsplit=1) for line in body.splitlines() if line]
    assert len(rows) > 5
    return table(("Number ends in", "What becomes of the message"), rows)


def provider_matrix() -> str:
    """What each provider can carry."""
    return matrix(table)


def metric_names() -> str:
    """Every metric with its labels."""
    return table(
        ("Metric", "Type", "Labels", "What it counts"),
        (
            (f"`{_exposed(metric)}`", metric.type, " ".join(f"`{label}`" for label in _labels(metric)),
             metric.documentation)
            for metric in metrics.registry.collect()
        ),
    )  # fmt: skip


def _exposed(metric: Metric) -> str:
    return metric.name + ("_total" if metric.type == "counter" else "")


def _labels(metric: Metric) -> tuple[str, ...]:
    known = vars(metrics).values()
    labels = {each._name: each._labels for each in known if isinstance(each, metrics.Count)}
    labels |= {each._name: each._labelnames for each in known if isinstance(each, Gauge)}
    return labels.get(metric.name, ())


# --- commands -----------------------------------------------------------------------------------------------------


def command_group() -> Any:
    """The commands as typer sees them."""
    return typer.main.get_command(cli.app)


def commands() -> str:
    """Every command: what it does, its arguments and its options."""
    return "\n\n".join(_command(name, each) for name, each in _flat(command_group().commands))


def _flat(known: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Each command with its name, those of groups with the name of their group before it."""
    for name, each in known.items():
        if hasattr(each, "commands"):
            yield from _flat(each.commands, f"{before}{name} ")
        else:
            yield before + name, each


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(["smsbridge", name, *(p.metavar or (p.name or "").upper() for p in arguments)])
    text = [f"## smsbridge {name}", f"`{usage}{' [OPTIONS]' if options else ''}`", inspect.cleandoc(command.help or "")]
    rows = [
        (", ".join(f"`{opt}`" for opt in p.opts) if p in options else f"`{p.metavar or (p.name or '').upper()}`",
         "required" if p.required else _default(p.envvar or p.default), p.help or "")
        for p in [*arguments, *options]
    ]  # fmt: skip
    return "\n\n".join(text + ([table(("", "Default", ""), rows)] if rows else []))


def _default(value: Any) -> str:
    return "" if value is None or value is False or value == () else f"`{getattr(value, 'value', value)}`"


def settings() -> str:
    """Every key of a configuration."""
    return "\n\n".join(
        f"## {title}\n\n{text}\n\n{table(('Key', 'Value', 'Default', ''), rows)}"
        for title, text, rows in tables_of_settings()
    )


def declaration() -> str:
    """Every key of a declared provider, every variable and every filter."""
    return "\n\n".join(f"## {title}\n\n{text}\n\n{table(columns, rows)}" for title, text, columns, rows in tables())


PARTS: dict[str, Callable[[], str]] = {
    "states": states,
    "reasons": reasons,
    "reasons_http": reasons_http,
    "reasons_smpp": reasons_smpp,
    "reasons_smtp": reasons_smtp,
    "virtual": virtual,
    "providers": provider_matrix,
    "metrics": metric_names,
    "commands": commands,
    "settings": settings,
    "declaration": declaration,
}


def made() -> dict[Path, str]:
    """The pages that are made as a whole, one for each provider of the folder, by their paths."""
    return provider_pages(table)


def stale(root: Path = ROOT) -> Iterator[str]:
    """Pages that are not what they should be: with stale parts, stale as a whole, missing, or of a provider gone."""
    for path in pages(root):
        text = path.read_text()
        if renewed(text) != text:
            yield str(path.relative_to(root))
    wanted = {root / path.relative_to(ROOT): text for path, text in made().items()}
    found = {path: path.read_text() for path in (root / FOLDER.relative_to(ROOT)).glob("*.md")}
    for path in sorted({*wanted, *found}):
        if wanted.get(path) != found.get(path):
            yield str(path.relative_to(root))


def write() -> None:
    """Makes every page what it should be; one of a provider that is gone goes too."""
    FOLDER.mkdir(exist_ok=True)
    for path in {*FOLDER.glob("*.md")} - {*made()}:
        path.unlink()
    for path, text in made().items():
        path.write_text(text)
    for path in pages():
        path.write_text(renewed(path.read_text()))


if __name__ == "__main__":
    write()
