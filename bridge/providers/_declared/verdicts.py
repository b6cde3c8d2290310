"""What the answer to a send means: rules, codes and references of a declaration, made into outcomes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bridge.message import Accepted, Outcome, Reason, Refused, Retry, Unsure
from bridge.providers._contract import Response, retry_after_s, shared_outcome, status_outcome
from bridge.providers._declared import schema
from bridge.providers._declared.conditions import Conditions, statuses
from bridge.providers._declared.paths import Format, Path, parse
from bridge.providers._declared.template import Template

_NATIVE_MAX = 200
_AGAIN = Retry(reason=Reason.PROVIDER_REFUSED)
_DEFAULTS = {"refused": Reason.PROVIDER_REFUSED, "retry": Reason.PROVIDER_REFUSED, "pause": Reason.PROVIDER_ACCOUNT}
OUTCOMES = ("accepted", "refused", "retry", "pause", "unsure")


def outcome_of(words: str) -> Outcome:
    """`refused REASON` and the like as an outcome. Raises ValueError, KeyError with the word that is no reason."""
    kind, _, word = words.partition(" ")
    if kind not in OUTCOMES:
        raise KeyError(kind)
    if kind in ("accepted", "unsure"):
        if word:
            raise ValueError(f"{kind} has no reason")
        return Accepted() if kind == "accepted" else Unsure()
    if word and word not in list(Reason):
        raise KeyError(word)
    reason = Reason(word) if word else _DEFAULTS[kind]
    return Refused(reason=reason) if kind == "refused" else Retry(reason=reason, pause=kind == "pause")


class Rule:
    """One rule; without statuses of its own it says nothing where the status alone decides."""

    __slots__ = ("_conditions", "_statuses", "_text", "outcome")

    def __init__(self, declared: schema.Rule, form: Format) -> None:
        """Raises ValueError, KeyError."""
        self.outcome = outcome_of(declared.then)
        self._statuses = statuses(declared.status) if declared.status else None
        self._conditions = Conditions(declared.where, form)
        try:
            self._text = re.compile(declared.text, re.IGNORECASE) if declared.text else None
        except re.error as error:
            raise ValueError(f"not a pattern: {error}") from None

    def fits(self, node: Any, response: Response, decided: bool) -> bool:
        """True when everything is so; `decided`: the status says enough by itself."""
        status, accepts = response.status, isinstance(self.outcome, Accepted)
        if self._statuses is not None:
            if status not in self._statuses:
                return False
        elif decided or (accepts and not 200 <= status < 300):
            return False
        if self._text is not None and not self._text.search(response.body.decode("utf-8", "replace")):
            return False
        # What cannot be read accepts nothing, unless it is known what it looks like.
        return self._conditions.hold(node) and (node is not None or self._text is not None or not accepts)


class Verdict:
    """How an answer, or an item of it, is understood."""

    def __init__(self, declared: schema.Verdict, form: Format, codes: Mapping[str, Outcome]) -> None:
        """Raises ValueError, KeyError."""
        self._ref = Path(declared.ref, form) if declared.ref else None
        self._code = Path(declared.code, form) if declared.code else None
        self._message = Path(declared.message, form) if declared.message else None
        self._rules = [Rule(rule, form) for rule in declared.rules]
        self._by_ref = self._ref is not None and not any(isinstance(rule.outcome, Accepted) for rule in self._rules)
        self._codes = codes

    def outcome(self, node: Any, response: Response) -> Outcome | None:
        """What is said there; None: nothing."""
        status, decided = response.status, shared_outcome(response) is not None
        found = next((rule.outcome for rule in self._rules if rule.fits(node, response, decided)), None)
        code = self._code.text(node) if self._code else None
        if found is None and code is not None and status < 500:
            found = self._codes.get(code.lower())
            if isinstance(found, Accepted) and not 200 <= status < 300:
                found = None
        ref = self._ref.text(node) if self._ref else None
        if found is None:
            if not (self._by_ref and ref and 200 <= status < 300) or code is not None:
                return None
            found = Accepted()
        if isinstance(found, Accepted):
            return replace(found, provider_ref=ref, native=code or "")
        native = self.native(node, code)
        if isinstance(found, Retry):
            return replace(found, native=native, after_s=retry_after_s(response))
        return replace(found, native=native)

    def native(self, node: Any, code: str | None = None) -> str:
        """The provider's own code and words."""
        code = code or (self._code.text(node) if self._code else None)
        said = self._message.text(node) if self._message else None
        return " ".join(filter(None, (code, said)))[:_NATIVE_MAX]


class Answer:
    """How the whole answer is understood, message by message."""

    def __init__(
        self, declared: schema.Answer, codes: Mapping[str, Outcome], by: Sequence[tuple[str, Template]]
    ) -> None:
        """`by`: paths in an item, and what is to stand there. Raises ValueError, KeyError."""
        self._form = declared.as_
        self._whole = Verdict(declared, declared.as_, codes)
        items = declared.items
        self._items = Path(items.at, declared.as_) if items else None
        self._item = Verdict(items, declared.as_, codes) if items else None
        self._by = [(Path(path, declared.as_), template) for path, template in by]

    def outcomes(self, response: Response, scopes: Sequence[Any]) -> list[Outcome]:
        """One for each message, whatever the bytes are."""
        node = parse(response.body, self._form)
        overall = self._overall(node, response, alone=len(scopes) == 1)
        if self._items is None or self._item is None:
            return [overall] * len(scopes)
        found = self._items.all(node)
        chosen = self._chosen(found, scopes)
        return [overall if item is None else self._item.outcome(item, response) or overall for item in chosen]

    def _overall(self, node: Any, response: Response, *, alone: bool) -> Outcome:
        """What the answer says of everybody it says nothing else of."""
        found = self._whole.outcome(node, response)
        if found is None:
            found = status_outcome(response)
            native = self._whole.native(node)
            return replace(found, native=f"{found.native} {native}".rstrip())
        if isinstance(found, Accepted) and self._items is not None:
            return Unsure(native="accepted, without a word on this message")
        if alone or not isinstance(found, Refused):
            return found
        # One of them is at fault, and nobody says which; they come again, and not all together.
        return replace(_AGAIN, native=found.native)

    def _chosen(self, items: list[Any], scopes: Sequence[Any]) -> list[Any]:
        """The item of each message, None where there is none."""
        if not self._by:
            return items if len(items) == len(scopes) else [None] * len(scopes)
        by_key: dict[tuple[str | None, ...], list[Any]] = {}
        for item in items:
            by_key.setdefault(tuple(path.text(item) for path, _ in self._by), []).append(item)
        chosen = []
        for scope in scopes:
            key = tuple(template.text(scope) for _, template in self._by)
            waiting = by_key.get(key)
            # Two messages to one number have an item each, in their order.
            chosen.append(waiting.pop(0) if waiting else None)
        return chosen
