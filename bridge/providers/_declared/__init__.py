"""Providers by declaration: `NAME.yaml` becomes what `NAME.py` would be, a module with `Settings` and `Provider`.

=============  ===================================================================================
schema         what a declaration may hold
template       `{to|plus}`: variables and filters
render         bodies, queries and headers with values in them
requests       the requests for sends, polls and tokens
paths          where a value is in an answer: JSONPath, XPath, fields, patterns
conditions     what must be so
verdicts       what an answer means
sayings        reports and inbound messages in what is called back
checks         whether a callback is the provider's
compiling      all of these made of one declaration, or every problem of it
provider       the whole behind the contract
=============  ===================================================================================
"""

from __future__ import annotations

import copy
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bridge.document import read
from bridge.errors import ConfigError
from bridge.problems import problem_of
from bridge.providers._declared.compiling import Compiling
from bridge.providers._declared.provider import Declared
from bridge.providers._declared.schema import Declaration

if TYPE_CHECKING:
    from bridge.problems import KeyPath


def module_of(path: Path) -> ModuleType:
    """The provider that the file declares, named as the file is. Raises ConfigError with every problem of it."""
    document = read(path)
    problems, declaration = list(document.problems), None
    try:
        declaration = Declaration.model_validate(document.data)
    except ValidationError as error:
        found = [problem_of(each, document.data, Declaration) for each in error.errors(include_url=False)]
        problems += found
        declaration = _rest(document.data, [each.path for each in found])
    name = path.stem
    compiling = None
    if declaration is not None:
        compiling = Compiling(name, declaration)
        problems += compiling.problems
    if problems or compiling is None or declaration is None:
        unique = {(each.path, each.text): each for each in problems}
        raise ConfigError(document.tell(unique.values(), path))
    module = ModuleType(f"{__name__}.{name}", f"{declaration.about}\n\nDocuments: {declaration.documents}")
    members: dict[str, Any] = {
        "Settings": compiling.settings,
        "Provider": type("Provider", (Declared,), {"parts": compiling.parts, "capabilities": compiling.capabilities}),
        "CODES": {key: compiling.codes[key.lower()] for key in declaration.codes},
        "STATES": {key: compiling.states[key.lower()] for key in declaration.states},
    }
    vars(module).update(members)
    return module


def _rest(data: Any, wrong: list[KeyPath]) -> Declaration | None:
    """The declaration without what is wrong in it, so that the problems of the rest are told too; None: too little."""
    rest = copy.deepcopy(data)
    for path in sorted(wrong, key=len, reverse=True):
        inner = rest
        for step in path[:-1]:
            inner = inner[step]
        if path and isinstance(inner, dict):
            inner.pop(path[-1], None)
    try:
        return Declaration.model_validate(rest)
    except ValidationError:
        return None
