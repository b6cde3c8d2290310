"""Values that come from outside the file: `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.

They may stand anywhere inside a text. A relative PATH counts from the working directory; a credential is a file in the
directory that systemd names in `$CREDENTIALS_DIRECTORY`. One line end at the end of a file does not count.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.problems import KeyPath, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{([^{}]*)\}?")
_FORMS = "${env:NAME}, ${file:PATH} or ${credential:NAME}"
_LIMIT_BYTES = 65536


class Substitution:
    """The values of a document with every reference replaced.

    `problems` holds a line for each reference that could not be; `taken` is what was put in, so that nobody shows it.
    """

    def __init__(self, data: Any, *, env: Mapping[str, str], credentials_dir: Path | None) -> None:
        self.problems: list[Problem] = []
        self.taken: dict[KeyPath, list[str]] = {}
        self._env = env
        self._credentials_dir = credentials_dir
        self.data = self._value(data, ())

    def hide(self, text: str, path: KeyPath) -> str:
        """`text` without any value that was put in at `path`, above it or below it."""
        for place, values in self.taken.items():
            if place[: len(path)] == path or path[: len(place)] == place:
                for value in values:
                    text = text.replace(value, "***")
        return text

    def _value(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: self._value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, (*path, number)) for number, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return _REFERENCE.sub(lambda found: self._taken(found, path), value)
        except ValueError as error:
            self.problems.append(Problem(path, str(error)))
            return value

    def _taken(self, found: re.Match[str], path: KeyPath) -> str:
        source, colon, name = found[1].partition(":")
        if not found[0].endswith("}") or not colon or not name:
            bare = re.fullmatch(r"[A-Za-z_]\w*", found[1])
            raise ValueError(
                f"${{ begins a reference: {_FORMS}" + (f'; did you mean "${{env:{bare[0]}}}"?' if bare else "")
            )
        if source == "env":
            value = self._env.get(name, "")
            if not value:
                state = "is empty" if name in self._env else "is not set"
                raise ValueError(f"the environment variable {name} {state}")
        elif source == "file":
            value = _content(Path(name), f"the file {name}")
        elif source == "credential":
            value = self._credential(name)
        else:
            raise ValueError(f'"{source}" is no source of values: {_FORMS}')
        self.taken.setdefault(path, []).append(value)
        return value

    def _credential(self, name: str) -> str:
        if self._credentials_dir is None:
            raise ValueError(f"the credential {name} is there only under systemd, for a unit with LoadCredential=")
        if "/" in name or name in (".", ".."):
            raise ValueError(f"a credential is a name without /, not {name}")
        return _content(self._credentials_dir / name, f"the credential {name}")


def _content(path: Path, what: str) -> str:
    """The text of a small file. Raises ValueError, which never holds any of it."""
    try:
        with path.open("rb") as file:
            octets = file.read(_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ValueError(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(octets) > _LIMIT_BYTES:
        raise ValueError(f"{what} is larger than {_LIMIT_BYTES} bytes")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{what} is empty")
    return text
