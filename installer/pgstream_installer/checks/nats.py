"""What would go wrong in NATS: the server, JetStream, this user's rights, and the streams of the databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nats.aio.client import Client

from pgstream_installer.checks.facts import DatabaseFacts
from pgstream_installer.checks.finding import Finding, from_error
from pgstream_installer.checks.streams import check_stream
from pgstream_installer.configuration import NatsOptions
from pgstream_installer.errors import InstallerError, RightsError, UnreachableError
from pgstream_installer.nats_connection import ApiError, NoAnswerError, connected, place_of, request_api, request_json
from pgstream_installer.subjects import covers

VERSION_MIN = (2, 11)
# Event size that fits with room: an event carries the row twice where it carries `before`.
PAYLOAD_COMFORTABLE_BYTES = 1024 * 1024
JETSTREAM_NOT_ENABLED = (10039, 10076)


def check_nats(options: NatsOptions, databases: Sequence[DatabaseFacts]) -> list[Finding]:
    """All findings of one NATS and one account, for the databases that publish there."""
    return asyncio.run(_check(options, databases))


async def _check(options: NatsOptions, databases: Sequence[DatabaseFacts]) -> list[Finding]:
    place = f"NATS {place_of(options)}"
    try:
        async with connected(options) as client:
            findings = _server(client, place)
            findings += await _rights(client, options, databases, place)
            account = await _account(client, options)
            if isinstance(account, Finding):
                return [*findings, account]
            findings += _limits(account, place, sum(len(facts.streams) for facts in databases))
            for facts in databases:
                for stream in facts.streams:
                    findings += await check_stream(client, options, facts, stream)
            return findings
    except UnreachableError as error:
        return [from_error("nats-unreachable", place, error)]
    except RightsError as error:
        return [from_error("nats-refused", place, error)]
    except InstallerError as error:
        return [from_error("nats-failed", place, error)]


def _server(client: Client, place: str) -> list[Finding]:
    version = client.connected_server_version
    findings = []
    if (version.major, version.minor) < VERSION_MIN:
        what = f"nats-server {version} is older than {VERSION_MIN[0]}.{VERSION_MIN[1]}"
        findings.append(Finding("nats-version", "error", what, "upgrade nats-server", place))
    if client.max_payload < PAYLOAD_COMFORTABLE_BYTES:
        what = f"max_payload is {client.max_payload} bytes: events of larger rows go to the object store"
        findings.append(Finding("nats-max-payload", "warning", what, "raise max_payload (8MB at most)", place))
    return findings


async def _account(client: Client, options: NatsOptions) -> dict[str, Any] | Finding:
    place = f"NATS {place_of(options)}"
    hint = "add jetstream { store_dir: … } to nats-server's configuration, and to the account if there are accounts"
    try:
        answer: dict[str, Any] = await request_api(client, options, "INFO")
    except ApiError as error:
        if error.code in JETSTREAM_NOT_ENABLED:
            return Finding("jetstream-disabled", "error", "JetStream is not enabled for this account", hint, place)
        raise
    except NoAnswerError:
        what = "JetStream does not answer: it is off, or this user may not ask it"
        return Finding("jetstream-disabled", "error", what, hint, place)
    return answer


def _limits(account: dict[str, Any], place: str, streams_wanted: int) -> list[Finding]:
    limits = account.get("limits", {})
    findings = []
    storage_max, storage = int(limits.get("max_storage", -1)), int(account.get("storage", 0))
    if storage_max == 0:
        what = "this account may store nothing in files"
        findings.append(Finding("jetstream-storage", "error", what, "raise the account's max_file", place))
    elif storage_max > 0 and storage > storage_max * 0.9:
        what = f"JetStream holds {storage} of {storage_max} bytes of this account"
        findings.append(Finding("jetstream-storage", "warning", what, "raise max_file, or lower max_age", place))
    streams_max, streams = int(limits.get("max_streams", -1)), int(account.get("streams", 0))
    if 0 <= streams_max < max(streams_wanted, 1) or (streams_max == streams and streams < streams_wanted):
        what = f"this account may have {streams_max} streams and has {streams}"
        findings.append(Finding("jetstream-streams", "error", what, "raise the account's max_streams", place))
    if limits.get("max_bytes_required"):
        what = "this account demands max_bytes of every stream"
        hint = "update pgstream.streams set max_bytes = …, in every database"
        findings.append(Finding("jetstream-max-bytes", "warning", what, hint, place))
    return findings


async def _rights(
    client: Client, options: NatsOptions, databases: Sequence[DatabaseFacts], place: str
) -> list[Finding]:
    """Holds what the relay publishes to against what the server says this user may; servers tell it since 2.10."""
    try:
        answer = await request_json(client, "$SYS.REQ.USER.INFO")
    except NoAnswerError:
        return []
    publish = (answer.get("data", {}).get("permissions") or {}).get("publish") or {}
    allowed, denied = publish.get("allow") or [], publish.get("deny") or []
    findings = []
    for subject in _needed(options, databases):
        if (allowed and not any(covers(pattern, subject) for pattern in allowed)) or any(
            covers(pattern, subject) for pattern in denied
        ):
            hint = f'allow this user to publish to "{subject}"'
            what = f"this user may not publish to {subject}: the relay needs it"
            findings.append(Finding("nats-permission", "error", what, hint, place))
    return findings


def _needed(options: NatsOptions, databases: Sequence[DatabaseFacts]) -> list[str]:
    prefix = f"$JS.{options.jetstream_domain}.API" if options.jetstream_domain else "$JS.API"
    subjects = [f"{prefix}.INFO"]
    for facts in databases:
        for stream in facts.streams:
            verbs = ["INFO", "CREATE", "UPDATE", "MSG.GET"] if stream.kept else ["INFO", "MSG.GET"]
            subjects += [f"{prefix}.STREAM.{verb}.{stream.name}" for verb in verbs]
        subjects += facts.patterns
    return list(dict.fromkeys(subjects))
