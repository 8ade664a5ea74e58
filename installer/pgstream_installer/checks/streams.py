"""One JetStream stream, held against what its database wants of it."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client

from pgstream_installer.checks.facts import DatabaseFacts, StreamPlan
from pgstream_installer.checks.finding import Finding, Severity
from pgstream_installer.configuration import NatsOptions
from pgstream_installer.nats_connection import ApiError, NoAnswerError, request_api
from pgstream_installer.subjects import covers

NO_SUCH_STREAM = 10059
SOURCE_KEY = "pgstream_source"
NANOSECONDS = 1_000_000_000
POWER_LOSS_HINT = (
    "replicas = 3 in pgstream.streams (a cluster of three), or sync_interval: always in nats-server's jetstream"
)


async def check_stream(client: Client, options: NatsOptions, facts: DatabaseFacts, plan: StreamPlan) -> list[Finding]:
    """Whether the stream is there, ours, and so configured that nothing is lost in it."""
    place = f"stream {plan.name}"
    try:
        info = await request_api(client, options, f"STREAM.INFO.{plan.name}")
    except ApiError as error:
        if error.code == NO_SUCH_STREAM:
            return _absent(plan, place)
        return [Finding("stream-unreadable", "error", f"it can't be looked at: {error.what}", "", place)]
    except NoAnswerError as error:
        hint = f"allow this user to publish to $JS.API.STREAM.INFO.{plan.name}"
        return [Finding("stream-unreadable", "error", f"it can't be looked at: {error.what}", hint, place)]
    return judge_stream(info["config"], info.get("cluster"), facts, plan)


def _absent(plan: StreamPlan, place: str) -> list[Finding]:
    if not plan.kept:
        hint = f"make it, or let pgstream keep it: insert into pgstream.streams (name) values ('{plan.name}')"
        return [Finding("stream-absent", "error", "it does not exist, and pgstream does not keep it", hint, place)]
    power_loss = "made with one replica (NATS is no cluster of three), power loss may lose acknowledged events in it"
    return [
        Finding("stream-absent", "info", "it is not there yet", "the relay makes it when it starts", place),
        Finding("stream-power-loss", "info", power_loss, POWER_LOSS_HINT, place),
    ]


def judge_stream(
    config: dict[str, Any], cluster: dict[str, Any] | None, facts: DatabaseFacts, plan: StreamPlan
) -> list[Finding]:
    """Pure: the findings of a stream's configuration."""
    place = f"stream {plan.name}"
    findings: list[Finding] = []

    def add(identity: str, severity: Severity, what: str, hint: str) -> None:
        findings.append(Finding(identity, severity, what, hint, place))

    owner = (config.get("metadata") or {}).get(SOURCE_KEY)
    if owner is not None and owner != facts.source:
        hint = "give this database an alias and a stream of its own, or take it over: pgstream install --adopt-stream"
        add("stream-foreign", "error", f"it belongs to another database ({owner})", hint)
    if owner is None and plan.kept:
        hint = "name another stream in pgstream.settings, or take it over: pgstream install --adopt-stream"
        add("stream-foreign", "error", "it was not made by pgstream", hint)
    if config.get("retention", "limits") != "limits":
        what = f"its retention is {config['retention']}: what consumers take out, the relay can't find again"
        add("stream-retention", "error", what, "use a stream with retention limits")
    if config.get("mirror") or config.get("sources"):
        add("stream-sourced", "error", "it is a mirror or has sources", "use a stream that only pgstream writes to")
    missing = [
        pattern for pattern in plan.patterns if not any(covers(own, pattern) for own in config["subjects"] or [])
    ]
    if missing and not plan.kept:
        add("stream-subjects", "error", f"it does not cover {', '.join(missing)}", "add the subjects to the stream")
    _judge_durability(config, cluster, facts, add)
    return findings


def _judge_durability(config: dict[str, Any], cluster: dict[str, Any] | None, facts: DatabaseFacts, add: Any) -> None:
    if config.get("storage") == "memory":
        add("stream-memory", "warning", "it is kept in memory: a restart of NATS empties it", "storage = 'file'")
    elif int(config.get("num_replicas", 1)) == 1:
        what = (
            "it has one replica: power loss of that machine may lose acknowledged events (sync_interval is 2 minutes)"
        )
        add("stream-power-loss", "warning", what, POWER_LOSS_HINT)
    elif cluster is not None and any(not replica.get("current") for replica in cluster.get("replicas") or []):
        add(
            "stream-replicas",
            "warning",
            "a replica is behind or offline",
            "see nats stream cluster, and that server's log",
        )
    max_age_seconds = int(config.get("max_age", 0)) / NANOSECONDS
    if facts.lag_seconds is not None and 0 < max_age_seconds <= facts.lag_seconds:
        what = f"max_age is {max_age_seconds:.0f} s and the relay is {facts.lag_seconds:.0f} s behind"
        add("stream-max-age", "warning", what, "raise max_age, or see why the relay is behind: pgstream status")
    if config.get("sealed") or config.get("no_ack"):
        add(
            "stream-refuses",
            "error",
            "it is sealed or has no_ack: nothing can be stored and known",
            "use another stream",
        )
