"""The accounts of a configuration as each listener knows them: those that have its side, and what concerns it."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.config.schema import Account, Config
from bridge.listeners.http import ports as http
from bridge.listeners.smpp import ports as smpp
from bridge.listeners.smtp import ports as smtp


def listener_of(config: Config, name: str) -> str | None:
    """How an account gets inbound messages: by SMPP, else by callback, else by mail."""
    account = config.accounts.get(name)
    if account is None:
        return None
    if account.smpp is not None:
        return "smpp"
    if account.http is not None and account.http.callback is not None:
        return "http"
    mailed = account.smtp is not None and account.smtp.inbound_to is not None and config.mail is not None
    return "smtp" if mailed else None


def smpp_accounts(accounts: Mapping[str, Account]) -> list[smpp.Account]:
    """Those that may bind."""
    return [
        smpp.Account(
            name=name,
            settings=account.smpp,
            region=account.region,
            validity_s=account.validity,
            networks=account.networks,
            paced=account.over_rate == "pace",
        )
        for name, account in accounts.items()
        if account.smpp is not None
    ]


def smtp_accounts(accounts: Mapping[str, Account]) -> list[smtp.Account]:
    """Those that may send mail."""
    return [
        smtp.Account(
            name=name,
            settings=account.smtp,
            region=account.region,
            validity_s=account.validity,
            networks=account.networks,
        )
        for name, account in accounts.items()
        if account.smtp is not None
    ]


def http_accounts(accounts: Mapping[str, Account]) -> list[http.Account]:
    """Those that may call."""
    return [
        http.Account(
            name=name,
            settings=account.http,
            region=account.region,
            validity_s=account.validity,
            max_parts=account.max_parts,
            networks=account.networks,
        )
        for name, account in accounts.items()
        if account.http is not None
    ]
