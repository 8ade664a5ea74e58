-- Which streams this database takes over from another one: written by the installer, carried out by the relay.
do $migration$
begin
  if exists (select from pgstream.migrations where id = 5) then
    return;
  end if;

  create table pgstream.adoptions (
    stream text primary key,
    requested_by text not null default current_user,
    requested_at timestamptz not null default now(),
    done_at timestamptz
  );

  insert into pgstream.migrations (id, name) values (5, 'adoptions');
end
$migration$;

comment on table pgstream.adoptions is 'JetStream streams that this database takes over although they name another '
  'database as theirs. Written by pgstream install --adopt-stream.';
comment on column pgstream.adoptions.stream is 'The JetStream stream.';
comment on column pgstream.adoptions.requested_by is 'The role that installed.';
comment on column pgstream.adoptions.requested_at is 'When it did.';
comment on column pgstream.adoptions.done_at is 'When the relay found the stream to be this database''s, or made it '
  'so; null = not yet.';
