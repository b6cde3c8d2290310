"""The one place where objects are made and joined: start, reload, drain, stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from bridge import providers
from bridge.changes import Changes
from bridge.config import accounts
from bridge.config.schema import Account, Config
from bridge.dispatch.lane import Lane
from bridge.errors import ConfigError
from bridge.intake import Intake
from bridge.listeners.control.server import ControlServer, opened
from bridge.listeners.http.outgoing import CallbackSender
from bridge.listeners.http.server import HttpServer
from bridge.listeners.lockout import Lockout
from bridge.listeners.passwords import Passwords
from bridge.listeners.smpp.outbind import Callers
from bridge.listeners.smpp.server import Binds, SmppServer
from bridge.listeners.smtp.outgoing import MailSender
from bridge.listeners.smtp.server import SmtpServer
from bridge.listeners.smtp.settings import Mail, SmtpAccount
from bridge.message import Owed
from bridge.providers._contract import Provider, ProviderSettings, References
from bridge.providers._gone import Gone
from bridge.reports.callbacks import Hearing
from bridge.reports.correlate import decide
from bridge.reports.delivery import Delivery
from bridge.reports.inbox import Inbox
from bridge.reports.polling import Polling
from bridge.reports.sender import Sender
from bridge.routing.rules import InboundRouter, Router
from bridge.smarthost import Smarthost
from bridge.steering import Steering
from bridge.store import Event
from bridge.store.sqlite import SqliteStore
from bridge.telemetry import metrics
from bridge.telemetry.notify import Notifier
from bridge.transport import Transport

log = structlog.get_logger("bridge.app")

_SWEEP_EVERY_S = 60.0
_PURGE_ROWS = 500
_DRAIN_S = 20.0
_HAND_OVER_S = 5.0  # of the drain, for callbacks and mails under way
_LANE_SILENT_S = 60.0  # above a provider's timeout: a lane that shows no sign of life is stuck


class _Lanes(dict[str, Lane]):
    """Lanes by name; a name that only messages know, because its provider is configured no more, gets one too."""

    def __init__(self, of_gone: Callable[[str], Lane]) -> None:
        self._of_gone = of_gone

    def __missing__(self, name: str) -> Lane:
        return self._of_gone(name)


class App:
    """One running bridge."""

    def __init__(
        self, config: Config, *, notifier: Notifier | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """`config` has passed `bridge.config.loader.load`."""
        self.config = config
        self.clock = clock
        self._notifier = notifier or Notifier(None, None)
        self._tasks: list[asyncio.Task[None]] = []
        self._senders: dict[tuple[str, str], Sender] = {}  # by listener and account
        self._broken = False  # a loop has ended that never should
        self._stopping = False
        self.smpp: list[SmppServer] = []
        self.smtp: list[SmtpServer] = []
        self.http: list[HttpServer] = []
        self._control: ControlServer | None = None
        self._callers: Callers | None = None
        self._ready = False

    # --- start ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Opens the store, takes up what an earlier process left, starts the loops, and then listens.

        Raises StoreUnavailable, or OSError when an address is taken. What was opened is closed again, and requests
        under way have their time: cut off, they would be messages of which nobody knows what became.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        config = self.config
        self.store = SqliteStore(config.store_path, self.clock(), decide)
        self._references = References(self.store.store_id)
        self.providers: dict[str, Provider] = {
            name: providers.load(settings.type, config.provider_paths).Provider(name, settings, self._references)
            for name, settings in config.providers.items()
        }
        for name, provider in self.providers.items():
            provider.callback_url = config.callback_url(name)
        self.transport = Transport()
        self.delivery = Delivery(self.store, self._kept_s, self.clock)
        self.lanes = _Lanes(self._lane_of_gone)
        for provider in self.providers.values():
            self._add_lane(provider)
        self.intake = Intake(
            self.store,
            Router(config.routes, config.providers),
            config.accounts,
            {name: provider.capabilities for name, provider in self.providers.items()},
            self.lanes,
            queue_max=config.limits.queue,
            clock=self.clock,
            on_owed=self._offer,
        )
        self.changes = Changes(self.store, self.intake, self.lanes, clock=self.clock, on_owed=self._offer)
        self.hearing = Hearing(
            self.store,
            self.providers,
            InboundRouter(config.inbound),
            lambda account: accounts.listener_of(self.config, account),
            clock=self.clock,
            on_owed=self._offer,
            on_went_on=self._wake,
            on_ended=self.changes.drop,
        )
        self._passwords = Passwords(lockout=Lockout(*config.lockout.limits))
        self._make_senders()
        self.intake.recover()
        for provider in self.providers.values():
            self._start_lane(provider)
        for name in await self.store.lanes():
            self.lanes[name]  # one for each, also for those that are configured no more
        await self.delivery.recover()
        self._run(self._keep_house())
        await self._listen()
        self._ready = True
        self._run(self._feed_watchdog())

    def _add_lane(self, provider: Provider) -> Lane:
        limits = self.config.limits
        lane = self.lanes[provider.name] = Lane(
            provider,
            self.store,
            self.transport,
            self.lanes,
            memory=limits.memory // max(1, len(self.providers)),
            clock=self.clock,
            on_owed=self._offer,
        )
        return lane

    def _start_lane(self, provider: Provider) -> None:
        self.lanes[provider.name].start()
        self._run(Polling(provider, self.store, self.transport, self.hearing, self.clock).run())
        inbox = Inbox(provider, self.transport, self.hearing, self.clock, known_s=self.config.retention)
        self._run(inbox.run())

    def _wake(self, lanes: Sequence[str]) -> None:
        for name in set(lanes):
            self.lanes[name].wake(self.clock())

    def _lane_of_gone(self, name: str) -> Lane:
        log.warning("provider_gone", provider=name, hint="its messages go on to their plan's next provider, or fail")
        provider = Gone(name, ProviderSettings(type="gone", on_unsure="hold"), self._references)
        lane = self._add_lane(provider)
        if not self._stopping:
            self._start_lane(provider)
        return lane

    async def _listen(self) -> None:
        config = self.config
        binds = self._binds = Binds(lambda account: self.delivery.outbox("smpp", account))
        for smpp in config.listeners.smpp:
            self.smpp.append(
                SmppServer(
                    smpp,
                    accounts.smpp_accounts(config.accounts),
                    intake=self.intake,
                    changes=self.changes,
                    passwords=self._passwords,
                    binds=binds,
                    clock=self.clock,
                )
            )
        for smtp in config.listeners.smtp:
            self.smtp.append(
                SmtpServer(smtp, accounts.smtp_accounts(config.accounts), intake=self.intake, passwords=self._passwords)
            )
        for http in config.listeners.http:
            self.http.append(
                HttpServer(
                    http,
                    accounts.http_accounts(config.accounts),
                    intake=self.intake,
                    records=self.store,
                    hear=self.hearing.hear,
                    metrics=self.metrics,
                    health=self.health,
                    passwords=self._passwords,
                    grace_s=_DRAIN_S,
                )
            )
        listeners: list[SmppServer | SmtpServer | HttpServer] = [*self.smpp, *self.smtp, *self.http]
        for listener in listeners:
            await listener.start()
        if self.smpp:
            self._callers = Callers(self.smpp[0], self._binds)
            self._callers.configure(accounts.smpp_accounts(config.accounts))
        await self._take_control()

    async def _take_control(self) -> None:
        config = self.config
        steering = Steering(
            smpp=self.smpp,
            smtp=self.smtp,
            http=self.http,
            binds=self._binds,
            lanes=self.lanes,
            store=self.store,
            system_ids=lambda: {
                each.name: each.settings.system_id for each in accounts.smpp_accounts(self.config.accounts)
            },
            clock=self.clock,
        )
        asked_for = bool(config.control.model_fields_set)
        self._control = await opened(config.control_path, config.control.group, steering, required=asked_for)

    def _make_senders(self) -> None:
        """One for each account and listener that can be reached; those there were go on with the new settings."""
        hands: dict[tuple[str, str], Callable[[Owed], Awaitable[Event]]] = {}
        for name, account in self.config.accounts.items():
            if account.http is not None and account.http.callback is not None:
                hands["http", name] = CallbackSender(account.http, self.transport, self.clock)
            if self.config.mail is not None and account.smtp is not None:
                hands["smtp", name] = self._mail_sender(self.config.mail, account.smtp)
        for key in self._senders.keys() - hands.keys():
            self.delivery.outbox(*key).sink = None
        for key, hand in hands.items():
            outbox = self.delivery.outbox(*key)
            sender = self._senders.get(key)
            if sender is None:
                sender = self._senders[key] = Sender(outbox, hand)
            sender.hand = hand
            outbox.sink = sender

    def _mail_sender(self, mail: Mail, account: SmtpAccount) -> MailSender:
        domains = [listener.domain for listener in self.config.listeners.smtp]
        domain = domains[0] if domains else "localhost"
        smarthost = Smarthost(mail.smarthost, starttls=mail.starttls, timeout_s=mail.timeout, hostname=domain)
        return MailSender(mail, smarthost, domain, account.inbound_to, self.clock)

    # --- reload, stop -----------------------------------------------------------------------------------------------

    def reload(self, config: Config) -> None:
        """Takes over accounts, routes, inbound rules and lock-outs, and reads certificates again.

        Nobody is locked out any more. Raises ConfigError when anything else has changed.
        """
        keys = ("store", "listeners", "providers", "mail", "control", "limits")
        fixed = [key for key in keys if getattr(config, key) != getattr(self.config, key)]
        if fixed:
            raise ConfigError([f"{key}: has changed; restart the service for that" for key in fixed])
        router = Router(config.routes, config.providers)
        self.config = config
        self.intake.configure(
            router, config.accounts, {name: provider.capabilities for name, provider in self.providers.items()}
        )
        self.hearing.configure(InboundRouter(config.inbound))
        for smpp in self.smpp:
            smpp.replace_accounts(accounts.smpp_accounts(config.accounts))
        if self._callers is not None:
            self._callers.configure(accounts.smpp_accounts(config.accounts))
        for smtp in self.smtp:
            smtp.admit(accounts.smtp_accounts(config.accounts))
        for http in self.http:
            http.replace_accounts(accounts.http_accounts(config.accounts))
        self._passwords.lockout.configure(*config.lockout.limits)
        listeners: list[SmppServer | SmtpServer | HttpServer] = [*self.smpp, *self.smtp, *self.http]
        for listener in listeners:
            try:
                listener.renew_tls()
            except OSError as error:
                log.error("certificate_not_renewed", port=listener.port, error=str(error))
        self._make_senders()
        self.delivery.configure()

    async def stop(self, grace_s: float = _DRAIN_S) -> None:
        """Drains: takes nothing new, answers what it took, gives requests under way `grace_s`, commits, closes.

        What has not been sent stays in the store for the next start.
        """
        self._ready = False
        self._stopping = True
        self._notifier.send(STOPPING=1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        listeners: list[SmppServer | SmtpServer | HttpServer] = [*self.smpp, *self.smtp, *self.http]
        if self._callers is not None:
            self._callers.stop()
        lanes = self.lanes.values() if hasattr(self, "lanes") else ()
        # At once: what listeners still take goes to disk only, and is acknowledged from there.
        await _stop(*(listener.stop() for listener in listeners), *(lane.stop(grace_s) for lane in lanes))
        if self._control is not None:
            await _stop(self._control.stop())
        await _stop(*(sender.stop(min(grace_s, _HAND_OVER_S)) for sender in self._senders.values()))
        if hasattr(self, "delivery"):
            self.delivery.stop()
        if hasattr(self, "transport"):
            await _stop(self.transport.close())
        if hasattr(self, "_passwords"):
            self._passwords.close()
        if hasattr(self, "store"):
            await self.store.close()

    # --- while it runs ----------------------------------------------------------------------------------------------

    def _run(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    async def _keep_house(self) -> None:
        swept_at = self.clock()
        while True:
            await asyncio.sleep(1.0)
            now = self.clock()
            try:
                self.intake.give_up_parts(now)
                if now - swept_at < _SWEEP_EVERY_S:
                    continue
                swept_at = now
                await self.delivery.sweep()
                while await self.store.purge(now - self.config.retention, _PURGE_ROWS):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # traffic goes first
            except Exception:
                log.exception("housekeeping_failed")

    async def _feed_watchdog(self) -> None:
        interval_s = self._notifier.watchdog_interval_s
        self._notifier.send(READY=1, STATUS="serving")
        while interval_s is not None:
            if self.health()[0]:
                self._notifier.send(WATCHDOG=1)
            await asyncio.sleep(interval_s)

    def metrics(self) -> bytes:
        """The Prometheus exposition."""
        metrics.queued.set(self.store.queued)
        metrics.owed.set(self.delivery.waiting)
        metrics.commits.set(self.store.commits)
        for account, count in self._binds.counts.items():
            metrics.smpp_binds.labels(account).set(count)
        return metrics.exposition()

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether the bridge is ready and its lanes live, and what they do."""
        now = self.clock()
        stuck = [
            name
            for name, lane in self.lanes.items()
            if lane.silent_s(now) > lane.provider.settings.timeout + _LANE_SILENT_S
        ]
        paused = [name for name, lane in self.lanes.items() if lane.breaker.open or lane.breaker.held]
        well = self._ready and not self._broken and not stuck
        return well, {"ready": self._ready, "stuck": stuck, "held_back": paused, "queued": self.store.queued}

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._broken = True
            log.error("loop_ended", task=task.get_name(), exc_info=task.exception())

    def _offer(self, owed: Sequence[Owed]) -> None:
        self.delivery.offer(owed)

    def _kept_s(self, account: str) -> float:
        known = self.config.accounts.get(account)
        return known.reports_kept if known else Account.model_fields["reports_kept"].default


async def _stop(*stops: Awaitable[None]) -> None:
    """Waits for all of them; one that fails must not keep what was taken from being committed."""
    for outcome in await asyncio.gather(*stops, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("stop_failed", exc_info=outcome)
