-- What the relay keeps in this database. None of these is in the publication.
do $migration$
begin
  if exists (select from pgstream.migrations where id = 4) then
    return;
  end if;

  create table pgstream.relay_state (
    slot_name text primary key,
    source text not null,
    lsn pg_lsn not null,
    control jsonb not null,
    updated_at timestamptz not null default now()
  );

  create table pgstream.relay_positions (
    slot_name text not null,
    stream text not null,
    last_sequence bigint not null,
    lsn pg_lsn not null,
    ordinal bigint not null,
    stream_created text,
    updated_at timestamptz not null default now(),
    primary key (slot_name, stream)
  );

  create table pgstream.relays (
    relay text primary key,
    role text not null,
    state text not null,
    version text,
    error text,
    hint text,
    published_lsn pg_lsn,
    last_event_at timestamptz,
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    details jsonb not null default '{}'
  );

  create table pgstream.gaps (
    id bigint generated always as identity primary key,
    from_lsn pg_lsn,
    to_lsn pg_lsn,
    from_time timestamptz,
    to_time timestamptz,
    reason text not null,
    created_at timestamptz not null default now(),
    published_at timestamptz
  );

  insert into pgstream.migrations (id, name) values (4, 'relay_tables');
end
$migration$;

comment on table pgstream.relay_state is 'Private to relay and installer. The control tables as of a position of the '
  'slot: a change that is read again after a restart is published under the settings of its time.';
comment on column pgstream.relay_state.slot_name is 'The replication slot.';
comment on column pgstream.relay_state.source is '<system identifier>/<database oid>: the state of another source is '
  'not believed.';
comment on column pgstream.relay_state.lsn is 'The position.';
comment on column pgstream.relay_state.control is 'Object of settings (a row), streams and tables (lists of rows), as '
  'to_jsonb gives them under TimeZone UTC.';
comment on column pgstream.relay_state.updated_at is 'When it was written.';

comment on table pgstream.relay_positions is 'Private to the relay. What each JetStream stream held last: tells a '
  'stream that came back shorter.';
comment on column pgstream.relay_positions.slot_name is 'The replication slot.';
comment on column pgstream.relay_positions.stream is 'The JetStream stream.';
comment on column pgstream.relay_positions.last_sequence is 'Its last sequence.';
comment on column pgstream.relay_positions.lsn is 'Commit LSN of that message.';
comment on column pgstream.relay_positions.ordinal is 'Ordinal of that message within its transaction.';
comment on column pgstream.relay_positions.stream_created is 'When NATS made the stream: one that was made anew is no '
  'stream that lost its tail.';
comment on column pgstream.relay_positions.updated_at is 'When it was written.';

comment on table pgstream.relays is 'The relays of this database, one row a process. pgstream.status is made of it.';
comment on column pgstream.relays.relay is 'Name of the process.';
comment on column pgstream.relays.role is 'active or standby.';
comment on column pgstream.relays.state is 'streaming, stalled or lost.';
comment on column pgstream.relays.version is 'Version of the relay.';
comment on column pgstream.relays.error is 'What keeps it from streaming.';
comment on column pgstream.relays.hint is 'What to do about that.';
comment on column pgstream.relays.published_lsn is 'Everything up to here is in NATS.';
comment on column pgstream.relays.last_event_at is 'When the last event was published.';
comment on column pgstream.relays.started_at is 'When the process began.';
comment on column pgstream.relays.heartbeat_at is 'Sign of life; older than 15 s counts as gone.';
comment on column pgstream.relays.details is 'Figures: lag_seconds and others.';

comment on table pgstream.gaps is 'Stretches of WAL that were lost before they were published.';
comment on column pgstream.gaps.id is 'Number of the gap.';
comment on column pgstream.gaps.from_lsn is 'Last position that was published.';
comment on column pgstream.gaps.to_lsn is 'First position that is published again.';
comment on column pgstream.gaps.from_time is 'Time of from_lsn, where known.';
comment on column pgstream.gaps.to_time is 'Time of to_lsn.';
comment on column pgstream.gaps.reason is 'Why.';
comment on column pgstream.gaps.created_at is 'When it was found.';
comment on column pgstream.gaps.published_at is 'When it was announced in every stream; null = not yet.';
