"""What a client may ask about messages, and the submissions that are not a plain submit_sm: each a coroutine that gives
the response.

query_sm, cancel_sm and replace_sm find messages by the id that `shown_id` writes; submit_multi and data_sm, and
submit_sm with replace_if_present_flag, make messages as submit_sm does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from bridge.errors import Refusal
from bridge.listeners.smpp.ports import Account, Changes, Intake
from bridge.listeners.smpp.repeats import Repeat, Repeats
from bridge.listeners.smpp.statuses import ERROR, Unsupported, status_of
from bridge.listeners.smpp.translate import message_from_submit_sm
from bridge.listeners.smpp.translate_out import shown_id
from bridge.listeners.smpp.views import (
    id_of,
    is_from,
    is_of,
    is_to,
    submit_sm_from_cancel_sm,
    submit_sm_from_data_sm,
    submit_sm_from_replace_sm,
    submit_sms_from_submit_multi,
)
from bridge.message import Message, Reason, State
from bridge.smpp.enums import Status, Tag
from bridge.smpp.fields import UnsuccessSme
from bridge.smpp.pdus import (
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
)
from bridge.smpp.times import format_absolute
from bridge.store import Record
from bridge.telemetry import metrics

_UNSUCCESSFUL = 255  # no_unsuccess is one octet
_SCHEDULED_SINCE = "5.0"
_DPF_NOT_SET = b"\0"


class Asked(msgspec.Struct, frozen=True):
    """Who asks, and when: `number` is the id of what the request submits, and above those of what came before it."""

    account: Account
    version: str  # of the session
    number: int


_Answer = Callable[[Any, Asked], Coroutine[None, None, Pdu]]


class Operations:
    """Answers requests of bound clients; one for each listener."""

    def __init__(
        self,
        intake: Intake,
        changes: Changes,
        repeats: Repeats,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._intake = intake
        self._changes = changes
        self._repeats = repeats
        self._clock = clock
        self._monotonic = monotonic
        self._answers: dict[type[Pdu], _Answer] = {
            QuerySm: self._query,
            CancelSm: self._cancel,
            ReplaceSm: self._replace,
            DataSm: self._data,
            SubmitMulti: self._submit_multi,
            SubmitSm: self._submit_or_replace,
        }

    async def answer(self, pdu: Pdu, asked: Asked) -> Pdu:
        """The response to a request. Raises Refusal, whose status answers it instead, and StoreUnavailable."""
        return await self._repeated(pdu, asked.account) or await self._answers[type(pdu)](pdu, asked)

    def repeat_of(self, pdu: Pdu, account: Account) -> Repeat | None:
        """What the same submission of an account was answered before."""
        return self._repeats.find(account.name, pdu, self._monotonic())

    def note(
        self, pdu: Pdu, message_id: int, stored: asyncio.Future[None], account: Account, response: Pdu | None = None
    ) -> None:
        """Remembers a submission of an account that wants repeated ones to count once."""
        if account.settings.duplicates is not None:
            until = self._monotonic() + account.settings.duplicates
            self._repeats.note(account.name, pdu, Repeat(message_id, stored, until, response))

    async def _repeated(self, pdu: Pdu, account: Account) -> Pdu | None:
        """The response to the same submission, once it is on disk; None: there was none, or it was a plain one."""
        repeat = None if account.settings.duplicates is None else self.repeat_of(pdu, account)
        if repeat is None or repeat.response is None:
            return None
        await repeat.stored
        return repeat.response

    # --- about messages ---------------------------------------------------------------------------------------------

    async def _query(self, pdu: QuerySm, asked: Asked) -> Pdu:
        """3.4 §4.8: where a message stands; those of one submit_multi stand where the least advanced does."""
        known_id, records = await self._known(pdu.message_id, asked.account)
        records = [record for record in records if _asked_of(record.message, pdu.source_addr)]
        if not records:
            raise Unsupported(Status.RQUERYFAIL, Reason.INVALID_REQUEST, "the source address is another")
        unfinished = [record for record in records if not record.state.final]
        failed = [record for record in records if record.state is not State.DELIVERED]
        record = (unfinished or failed or records)[0]
        return QuerySmResp(
            sequence=pdu.sequence,
            message_id=shown_id(known_id, asked.account.settings),
            final_date=format_absolute(record.updated_at) if record.state.final else "",
            message_state=_shown_state(record.state, asked.version),
            error_code=int(ERROR[record.reason]) if record.state.final and record.reason is not None else 0,
        )

    async def _cancel(self, pdu: CancelSm, asked: Asked) -> Pdu:
        """3.4 §4.9: one message by its id, or all that wait from one address to another."""
        account = asked.account

        def wanted(message: Message) -> bool:
            typed = not pdu.service_type or is_of(pdu.service_type)(message)
            return typed and _asked_of(message, pdu.source_addr)

        if pdu.message_id.strip():
            known_id, _ = await self._known(pdu.message_id, account)
            to = pdu.destination_addr.strip()
            done: bool | int | None = await self._changes.cancel(
                account.name, known_id, lambda message: wanted(message) and (not to or is_to(message, to))
            )
        else:
            probe = self._message(submit_sm_from_cancel_sm(pdu), account, asked.number)
            done = await self._changes.cancel_all(
                account.name,
                probe.destination,
                asked.number,
                lambda message: wanted(message) and is_from(message, pdu.source_addr),
            )
        if not done:
            raise Unsupported(Status.RCANCELFAIL, Reason.INVALID_REQUEST, "nothing that could be cancelled")
        return CancelSmResp(sequence=pdu.sequence)

    async def _replace(self, pdu: ReplaceSm, asked: Asked) -> Pdu:
        """3.4 §4.10: another text for a message; what the PDU leaves empty, and the coding, stay as they were."""
        account = asked.account
        known_id, _ = await self._known(pdu.message_id, account)

        def make(message: Message) -> Message:
            new = self._message(submit_sm_from_replace_sm(pdu, message), account, message.message_id)
            # A validity that nobody has stated is counted from when the message is due.
            unstated = message.deliver_at is not None and message.expires_at == message.deliver_at + account.validity_s
            lives = pdu.validity_period or (pdu.schedule_delivery_time and unstated)
            return msgspec.structs.replace(
                new,
                source=message.source,
                destination=message.destination,
                known_id=message.known_id,
                deliver_at=new.deliver_at if pdu.schedule_delivery_time else message.deliver_at,
                expires_at=new.expires_at if lives else message.expires_at,
                native=message.native | new.native,
            )

        replaced = await self._changes.replace(
            account.name,
            known_id,
            lambda message: _replaceable(message) and _asked_of(message, pdu.source_addr),
            _whole(make),
        )
        if not replaced:
            raise Unsupported(Status.RREPLACEFAIL, Reason.INVALID_REQUEST, "nothing that could be replaced")
        return ReplaceSmResp(sequence=pdu.sequence)

    async def _known(self, shown: str, account: Account) -> tuple[int, list[Record]]:
        known_id = id_of(shown, account.settings)
        records = [] if known_id is None else await self._changes.known(account.name, known_id)
        if known_id is None or not records:
            raise Unsupported(Status.RINVMSGID, Reason.INVALID_REQUEST, "no such message")
        return known_id, records

    # --- submissions ------------------------------------------------------------------------------------------------

    async def _submit_or_replace(self, pdu: SubmitSm, asked: Asked) -> Pdu:
        """replace_if_present_flag (3.4 §5.2.18): in the place of the last that waits, which keeps its id, or as new."""
        account = asked.account
        message = self._new(msgspec.structs.replace(pdu, replace_if_present_flag=0), account, asked.number)
        kind = is_of(pdu.service_type)
        async with self._changes.turn(account.name):
            # The first of two that are the same may have had its turn only now.
            repeated = await self._repeated(pdu, account)
            if repeated is not None:
                return repeated
            replaced = None
            if message.segment is None:
                replaced = await self._changes.replace_latest(
                    account.name,
                    message.destination,
                    asked.number,
                    lambda old: _replaceable(old) and kind(old) and is_from(old, pdu.source_addr),
                    # Of the same sender, so what the account's rules have made of it holds for both.
                    lambda old: msgspec.structs.replace(
                        message, message_id=old.message_id, known_id=old.known_id, source=old.source
                    ),
                )
            kept = replaced or message
            response = SubmitSmResp(
                sequence=pdu.sequence, message_id=shown_id(kept.known_id or kept.message_id, account.settings)
            )
            if replaced is not None:
                stored = asyncio.get_running_loop().create_future()
                stored.set_result(None)
                self.note(pdu, replaced.message_id, stored, account, response)
                return response
            (verdict,), stored_soon = self._intake.accept([message])
            if verdict is not None:
                raise verdict
            assert stored_soon is not None
            self.note(pdu, message.message_id, stored_soon, account, response)
        await stored_soon
        return response

    async def _data(self, pdu: DataSm, asked: Asked) -> Pdu:
        """3.4 §4.7: kept and sent as submit_sm is."""
        account = asked.account
        message = self._new(submit_sm_from_data_sm(pdu), account, asked.number)
        lives = pdu.tlv(Tag.QOS_TIME_TO_LIVE)
        if lives is not None:
            message = msgspec.structs.replace(message, expires_at=message.accepted_at + int.from_bytes(lives, "big"))
        response = DataSmResp(
            sequence=pdu.sequence,
            tlvs=() if pdu.tlv(Tag.SET_DPF) is None else ((Tag.DPF_RESULT, _DPF_NOT_SET),),
            message_id=shown_id(message.message_id, account.settings),
        )
        (verdict,) = await self._keep(pdu, [message], response, account)
        if verdict is not None:
            raise verdict
        return response

    async def _submit_multi(self, pdu: SubmitMulti, asked: Asked) -> Pdu:
        """3.4 §4.5: a message for each destination, all known by one id."""
        account, known_id = asked.account, asked.number
        messages: dict[str, Message] = {}
        submitted: list[tuple[SubmitSm, Message | Refusal]] = []
        for view in submit_sms_from_submit_multi(pdu, account.settings, asked.version):
            try:
                message = self._new(view, account, self._intake.next_id() if messages else known_id)
            except Refusal as refusal:
                submitted.append((view, refusal))
                continue
            # A number that is there twice, itself and in a list, gets one.
            if message.destination not in messages:
                messages[message.destination] = message = msgspec.structs.replace(message, known_id=known_id)
                submitted.append((view, message))
        response = SubmitMultiResp(sequence=pdu.sequence, message_id=shown_id(known_id, account.settings))
        verdicts = iter(await self._keep(pdu, list(messages.values()), response, account))
        outcomes = [(view, made if isinstance(made, Refusal) else next(verdicts)) for view, made in submitted]
        unsuccessful = [(view, status_of(outcome)) for view, outcome in outcomes if outcome is not None]
        if len(unsuccessful) == len(submitted):
            statuses = {status for _, status in unsuccessful}
            status = statuses.pop() if len(statuses) == 1 else Status.RSUBMITFAIL
            raise Unsupported(status, Reason.INVALID_REQUEST, "none of the destinations can be sent to")
        response.unsuccess_sme = tuple(
            UnsuccessSme(view.dest_addr_ton, view.dest_addr_npi, view.destination_addr, status)
            for view, status in unsuccessful[:_UNSUCCESSFUL]
        )
        return response

    async def _keep(
        self, pdu: Pdu, messages: Sequence[Message], response: Pdu, account: Account
    ) -> list[Refusal | None]:
        """A verdict for each, once those taken are on disk. Raises StoreUnavailable."""
        verdicts, stored = self._intake.accept(messages)
        if stored is not None:
            self.note(pdu, messages[0].message_id, stored, account, response)
            await stored
        return verdicts

    def _new(self, view: SubmitSm, account: Account, message_id: int) -> Message:
        try:
            return self._message(view, account, message_id)
        except Refusal as refusal:
            metrics.refused.add("smpp", account.name, refusal.reason)
            raise

    def _message(self, view: SubmitSm, account: Account, message_id: int) -> Message:
        return message_from_submit_sm(
            view,
            account=account.name,
            settings=account.settings,
            region=account.region,
            validity_s=account.validity_s,
            message_id=message_id,
            now=self._clock(),
        )


def _asked_of(message: Message, source_addr: str) -> bool:
    """The source address must be that of the submission; many clients leave it out."""
    return not source_addr.strip() or is_from(message, source_addr)


def _replaceable(message: Message) -> bool:
    return message.listener == "smpp" and message.segment is None and not message.parts


def _whole(make: Callable[[Message], Message]) -> Callable[[Message], Message]:
    """What is made may not be a part of a longer message, whose others would never come."""

    def made(message: Message) -> Message:
        new = make(message)
        if new.segment is not None:
            raise Unsupported(Status.RREPLACEFAIL, Reason.UNSUPPORTED, "a part cannot take the place of a message")
        return new

    return made


def _shown_state(state: State, version: str) -> int:
    """message_state (5.0 §4.7.15): what we hold is under way, as their ACCEPTED is final; SCHEDULED came with 5.0."""
    if state is State.ACCEPTED or (state is State.SCHEDULED and version != _SCHEDULED_SINCE):
        return State.ENROUTE
    return state
