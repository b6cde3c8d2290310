"""What stands in for a provider that messages still name and the configuration does not any more.

It takes nothing, so that messages go on to their plan's next provider or end as undeliverable. Of one that the old
provider may have taken nobody can ask: it waits for the report timeout, and ends as unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.message import Outcome, Reason, Refused
from bridge.providers._contract import Attempt, Capabilities, Provider, Request, Response


class Gone(Provider):
    """Refuses everything, without a network."""

    capabilities = Capabilities(batch_size=100, binary=True, flash=True)

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """A request that is never sent."""
        return Request(method="POST", url="gone:")

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """Everything is refused; what may have been sent is not asked about here."""
        return [Refused(reason=Reason.PROVIDER_UNREACHABLE, native="no longer configured")] * len(attempts)

    def answer(self, request: Request) -> Response:
        """HTTP 410: gone."""
        return Response(status=410)
