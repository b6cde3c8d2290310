"""One message over SMPP, SMTP or HTTP, through clients that are not our own: smpplib, smtplib and http.client.

They block, and tell what happens as they learn it. `smsbridge send` and `smsbridge demo` run them: so the daemon is met
by implementations of its protocols that do not share its mistakes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import re
import smtplib
import ssl
import string
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from enum import StrEnum
from socket import create_connection
from typing import Any

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.smpp

from bridge.config.schema import Account
from bridge.message import FINAL, State

_ANSWER_S = 10.0  # that a server has for each answer
_ASK_EVERY_S = 0.25
_SYSTEM_ID, _PASSWORD = 15, 8  # characters (SMPP 3.4 §4.1.1); smpplib would cut off the rest
_SHORT_MESSAGE = {0: 160, 8: 140}  # octets that fit one message, by data_coding
# What is the same in every alphabet that data_coding 0 may stand for; the rest goes as UCS-2.
_PLAIN = frozenset(string.ascii_letters + string.digits + " \n\r!\"#%&'()*+,-./:;<=>?")
_FINAL = frozenset(state.word for state in FINAL)
_RECEIPT_STATE = {"DELIVRD": "delivered", "EXPIRED": "expired", "DELETED": "deleted", "UNDELIV": "undeliverable",
                  "UNKNOWN": "unknown", "REJECTD": "rejected"}  # fmt: skip


class Protocol(StrEnum):
    """How the message goes."""

    SMPP = "smpp"
    SMTP = "smtp"
    HTTP = "http"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One message to send, and the server that is to take it."""

    host: str = "127.0.0.1"
    port: int
    to: str
    text: str
    login: str
    password: str  # over HTTP the API key
    source: str | None = None
    mail_from: str = ""  # over SMTP, in place of the source
    domain: str = "sms.example.com"  # of mail to a number
    tls: ssl.SSLContext | None = None
    implicit: bool = True  # TLS from the first byte; over SMTP STARTTLS when it is False
    wait_s: float = 30.0  # for the report; 0: none is wanted

    def __repr__(self) -> str:
        return f"Order({self.host}:{self.port})"


@dataclass(frozen=True)
class Taken:
    """The server has the message, under these ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Reported:
    """The report came: a word of `bridge.message.State`, and how the server put it."""

    state: str
    native: str


class NotSent(Exception):
    """The message could not be handed over, or its report was lost; the text says why."""


def credentials_of(protocol: Protocol, account: Account) -> dict[str, Any]:
    """The fields of an `Order` that an account's settings hold; none when it may not use the protocol."""
    if protocol is Protocol.SMPP and account.smpp is not None:
        secret = account.smpp.password  # none where a certificate stands for it
        return {"login": account.smpp.system_id, "password": secret.get_secret_value() if secret else ""}
    if protocol is Protocol.SMTP and account.smtp is not None:
        mail_from = account.smtp.senders[0].replace("*", "me")
        password = account.smtp.password  # none where a certificate or its network stands for it
        given = "" if password is None else password.get_secret_value()
        return {"login": account.smtp.login or "", "password": given, "mail_from": mail_from}
    if protocol is Protocol.HTTP and account.http is not None:
        return {"login": "", "password": account.http.api_key.get_secret_value()}
    return {}


# --- the clients ------------------------------------------------------------------------------------------------------


def over_smpp(order: Order) -> Iterator[Taken | Reported]:
    """Binds as a transceiver, submits, waits for the receipt. Raises NotSent.

    A long text goes whole, in message_payload (SMPP 3.4 §5.3.2.32): one message, one id, one receipt.
    """
    if len(order.login) > _SYSTEM_ID or len(order.password) > _PASSWORD:
        raise NotSent(f"SMPP holds a system_id of {_SYSTEM_ID} and a password of {_PASSWORD} characters at most")
    client = _SmppClient(order)
    try:
        client.connect()
        # Who waits for no report must not be handed any: it may belong to another client of the account.
        bind = client.bind_transceiver if order.wait_s else client.bind_transmitter
        bind(system_id=order.login, password=order.password)
        client.send_message(**_submit_sm(order))
        if not client.read_until(lambda: client.message_id is not None, _ANSWER_S):
            raise NotSent(f"the server did not answer within {_ANSWER_S:g} s; whether it took the message is not known")
        yield Taken((client.message_id or "",))
        if order.wait_s and client.read_until(lambda: client.report is not None, order.wait_s):
            assert client.report is not None
            yield client.report
        with contextlib.suppress(smpplib.exceptions.PDUError, smpplib.exceptions.ConnectionError):
            client.unbind()
    except smpplib.exceptions.PDUError as error:
        raise NotSent(f"the server refused: {error.args[0]}") from None
    except (smpplib.exceptions.ConnectionError, OSError) as error:
        raise NotSent(_broken(error, order)) from None
    finally:
        client.close()


def over_smtp(order: Order) -> Iterator[Taken | Reported]:
    """Hands a mail over and asks for a report, which comes by mail as well. Raises NotSent."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = order.mail_from
    mail["To"] = recipient = order.to if "@" in order.to else f"{order.to}@{order.domain}"
    mail["Subject"] = "Sent by smsbridge send"
    mail.set_content(order.text)
    try:
        with _smtp(order) as client:
            client.login(order.login, order.password)
            notify = ["NOTIFY=SUCCESS,FAILURE"] if client.has_extn("dsn") and order.wait_s else []
            _expect(client.mail(order.mail_from))
            _expect(client.rcpt(recipient, notify))
            answer = _expect(client.data(mail.as_bytes()))
            yield Taken(tuple(re.findall(r"\b[0-9]+\b", answer.partition("queued as")[2])))
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"the server refused: {_reply(error.smtp_code, error.smtp_error)}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(_broken(error, order)) from None


def over_http(order: Order) -> Iterator[Taken | Reported]:
    """Posts to the REST API, and asks for the message until it is final. Raises NotSent."""
    content = {"to": order.to, "text": order.text} | ({"from": order.source} if order.source else {})
    status, answer = _exchange(order, "POST", "/v1/messages", content)
    if status != 202:
        raise NotSent(f"the server refused: HTTP {status}, {answer.get('message', 'and no reason given')}")
    yield Taken((str(answer["id"]),))
    deadline = time.monotonic() + order.wait_s
    while time.monotonic() < deadline:
        status, answer = _exchange(order, "GET", f"/v1/messages/{answer['id']}")
        if status != 200:
            raise NotSent(f"the server does not tell of the message: HTTP {status}")
        if answer["state"] in _FINAL:
            yield Reported(answer["state"], answer["reason"] or "")
            return
        time.sleep(_ASK_EVERY_S)


CLIENTS = {Protocol.SMPP: over_smpp, Protocol.SMTP: over_smtp, Protocol.HTTP: over_http}


class _SmppClient(smpplib.client.Client):  # type: ignore[misc]  # smpplib has no types
    """smpplib's client with TLS that names the server, errors that say why, and an end to waiting."""

    def __init__(self, order: Order) -> None:
        log = logging.getLogger("smsbridge.send.smpp")
        log.setLevel(logging.CRITICAL)  # what goes wrong is raised as well
        super().__init__(order.host, order.port, timeout=_ANSWER_S, logger_name=log.name, allow_unknown_opt_params=True)
        self._order = order
        self.message_id: str | None = None
        self.report: Reported | None = None

    def message_sent_handler(self, pdu: Any) -> None:
        self.message_id = pdu.message_id.decode("ascii", "replace")

    def message_received_handler(self, pdu: Any) -> int:
        """The status of the answer: what is not ours is left for another client of the account, or another time."""
        report = None if self.message_id is None else _receipt(pdu, self.message_id)
        if report is None:
            return int(smpplib.consts.SMPP_ESME_RX_T_APPN)
        if report.state in _FINAL:
            self.report = report
        return int(smpplib.consts.SMPP_ESME_ROK)

    def connect(self) -> None:
        raw = create_connection((self.host, self.port), self.timeout)
        self._socket = raw
        if self._order.tls is not None:
            self._socket = self._order.tls.wrap_socket(raw, server_hostname=self.host)
        self.state = smpplib.consts.SMPP_CLIENT_STATE_OPEN

    def read_pdu(self) -> Any:
        """A PDU; answers the server's unbind, which smpplib passes over. Raises smpplib's ConnectionError."""
        pdu = super().read_pdu()
        if pdu.command == "unbind":
            answer = smpplib.smpp.make_pdu("unbind_resp", client=self)
            answer.sequence = pdu.sequence
            self.send_pdu(answer)
            raise smpplib.exceptions.ConnectionError("the server ended the session")
        return pdu

    def read_until(self, done: Any, timeout_s: float) -> bool:
        """Reads until `done()`, or for so long; False when the time is over.

        The timeout of the socket is what is left: a shorter one would cut PDUs in two.
        """
        deadline = time.monotonic() + timeout_s
        try:
            while not done():
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                self.read_once(auto_send_enquire_link=False)
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(self.timeout)
        return True

    def close(self) -> None:
        """Closes the connection, whatever state it is in."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None  # type: ignore[assignment]


def _submit_sm(order: Order) -> dict[str, Any]:
    coding = 0 if _PLAIN.issuperset(order.text) else 8
    octets = order.text.encode("utf-16-be" if coding else "ascii")
    place = "short_message" if len(octets) <= _SHORT_MESSAGE[coding] else "message_payload"
    source = order.source or ""
    digits = source.removeprefix("+").isdecimal()
    international = order.to.startswith("+")
    return {
        "source_addr_ton": 1 if digits else 5 if source else 0,
        "source_addr_npi": int(digits),
        "source_addr": source.removeprefix("+") if digits else source,
        "dest_addr_ton": int(international),
        "dest_addr_npi": 1,
        "destination_addr": order.to.removeprefix("+"),
        "data_coding": coding,
        "registered_delivery": int(order.wait_s > 0),
        place: octets,
    }


def _receipt(pdu: Any, message_id: str) -> Reported | None:
    """What a deliver_sm reports of our message, by its TLVs or its text (SMPP 3.4 appendix B)."""
    text = (pdu.short_message or b"").decode("latin-1")
    told = dict(re.findall(r"(id|stat):(\S*)", text))
    known = pdu.receipted_message_id
    known = known.decode("latin-1").rstrip("\0") if isinstance(known, bytes) else known or told.get("id")
    if known != message_id:
        return None
    state = pdu.message_state
    word = State(state).word if isinstance(state, int) else _RECEIPT_STATE.get(told.get("stat", ""), "enroute")
    return Reported(word, text)


def _smtp(order: Order) -> smtplib.SMTP:
    if order.tls is not None and order.implicit:
        return smtplib.SMTP_SSL(order.host, order.port, timeout=_ANSWER_S, context=order.tls)
    client = smtplib.SMTP(order.host, order.port, timeout=_ANSWER_S)
    if order.tls is not None:
        try:
            client.starttls(context=order.tls)
        except BaseException:
            client.close()
            raise
    return client


def _expect(answer: tuple[int, bytes]) -> str:
    """The text of a reply 2xx. Raises NotSent."""
    if answer[0] >= 300:
        raise NotSent(f"the server refused: {_reply(*answer)}")
    return _reply(*answer)


def _reply(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"


def _exchange(order: Order, method: str, path: str, content: object = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one request. Raises NotSent."""
    connection: http.client.HTTPConnection
    if order.tls is None:
        connection = http.client.HTTPConnection(order.host, order.port, timeout=_ANSWER_S)
    else:
        connection = http.client.HTTPSConnection(order.host, order.port, timeout=_ANSWER_S, context=order.tls)
    body = None if content is None else json.dumps(content)
    headers = {"Authorization": f"Bearer {order.password}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise NotSent(_broken(error, order)) from None
    finally:
        connection.close()
    return response.status, answer if isinstance(answer, dict) else {}


def _broken(error: BaseException, order: Order) -> str:
    return f"{order.host}:{order.port}: {str(error) or 'no answer, or the connection was closed'}"
