"""The queue runner of a worker, put together from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from postern.config.settings import SendConnector as ConnectorSettings
from postern.config.settings import Settings
from postern.delivery.mailbox import MailboxAgent
from postern.delivery.smtp.agent import AgentSettings, NextHopAgent
from postern.delivery.smtp.signing import DkimKey, Signer
from postern.directory.interface import Directory
from postern.formats.dkim import load_key
from postern.model.addresses import normalise_domain
from postern.model.ports import Clock, Entropy, Resolver
from postern.model.transfer import TlsPolicy
from postern.roles.peers import PeerCertificates, partners
from postern.services.copies import CopyDelivery
from postern.services.local_delivery import Wakes
from postern.services.rules.at_delivery import AtDelivery
from postern.store.interface import Store
from postern.transport.pressure import Limits
from postern.transport.queue import QueueStore
from postern.transport.routing import Router, SendConnector, SmartHost
from postern.transport.runner import Parts, QueueRunner, RunnerSettings, Submit
from postern.transport.schedule import Schedule
from postern.transport.tracking import Tracker


def queue_runner(  # noqa: PLR0913 - everything meets here
    settings: Settings,
    worker: str,
    *,
    queue: QueueStore,
    store: Store,
    directory: Directory,
    tracker: Tracker,
    resolver: Resolver,
    submit: Submit,
    clock: Clock,
    entropy: Entropy,
    peers: PeerCertificates,
    own_addresses: Sequence[tuple[str, int]] = (),
    rules: AtDelivery | None = None,
    assistants: Wakes | None = None,
) -> QueueRunner:
    """The runner of one worker. `worker` is its name, the same after a restart; `submit` is Mailflow.submit_internal.

    `own_addresses` (IP, port) are our SMTP listeners, which mail must not be sent to.
    Raises OSError, ValueError for keys and password files that cannot be read.
    """
    own = settings.queue
    host = settings.server.hostname
    connectors = [send_connector(c) for c in settings.send_connector]
    agent = NextHopAgent(
        AgentSettings(
            helo=host,
            idle_seconds=float(own.connection_idle_s),
            source_address=settings.network.source_address,
        ),
        entropy,
        signer(settings, clock),
        contexts=peers.contexts(),
        trust=peers.trust,
        kerberos=peers.initiator,
    )
    return QueueRunner(
        worker,
        Parts(
            queue=queue,
            router=Router(connectors, resolver, entropy, [host], own_addresses, partners(settings)),
            smtp=agent,
            mailboxes=MailboxAgent(CopyDelivery(store, rules, assistants)),
            contents=store.blobs,
            directory=directory,
            submit=submit,
            tracker=tracker,
            clock=clock,
            entropy=entropy,
        ),
        RunnerSettings(host_name=host, transfers_per_hop=own.max_connections_per_host),
    )


def schedule(settings: Settings) -> Schedule:
    """When to try again, to warn and to give up."""
    own = settings.queue
    return Schedule(
        intervals_seconds=own.retry_s,
        delay_notice_seconds=float(own.delay_notice_s),
        expiry_seconds=float(own.expire_s),
    )


def limits(settings: Settings) -> Limits:
    """Where back pressure begins."""
    own = settings.pressure
    return Limits(queue_recipients=own.max_queue, free_bytes=own.min_free_bytes, loop_lag_s=own.max_loop_lag_s)


def signer(settings: Settings, clock: Clock) -> Signer | None:
    """DKIM keys by domain; the last one of a domain counts. Raises OSError, ValueError."""
    keys = {
        normalise_domain(key.domain): DkimKey(key.selector, load_key(Path(key.key).read_bytes()))
        for key in settings.dkim
    }
    return Signer(keys, clock) if keys else None


def send_connector(given: ConnectorSettings) -> SendConnector:
    """From the settings file's words. Raises OSError, ValueError."""
    password = Path(given.password_file).read_text("utf-8").strip() if given.password_file else ""
    return SendConnector(
        name=given.name,
        address_spaces=tuple(d.lower() for d in given.domains),
        smart_hosts=tuple(smart_host(host, given.port) for host in given.smart_hosts),
        port=given.port,
        tls=TlsPolicy(given.tls),
        username=given.username,
        password=password,
        max_bytes=given.max_message_bytes,
    )


def smart_host(text: str, port: int) -> SmartHost:
    """`host`, `host:port`, `[address]`, `[address]:port`. Raises ValueError."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return SmartHost(address, int(rest[1:]) if rest.startswith(":") else port)
    if text.count(":") > 1:
        return SmartHost(text, port)
    host, _, number = text.partition(":")
    return SmartHost(host, int(number) if number else port)
