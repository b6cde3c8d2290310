from __future__ import annotations

import asyncio
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class Zone(asyncio.DatagramProtocol):
    """A name server on loopback: `records` by name and kind; for what is in `silent` it says SERVFAIL."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()

    def add(self, name: str, kind: str, *values: str) -> None:
        self.records[name, kind] = list(values)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.transport.get_extra_info('sockname')[1]}"

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        name, kind = asked.name.to_text(True).lower(), asked.rdtype.name
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name in self.silent:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.records:
            answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, *self.records[name, kind]))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)
