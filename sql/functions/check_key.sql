create or replace function pgstream.check_key(changed pgstream.tables, wanted text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  named text := pgstream.relation_name(changed.relid);
  partitioned boolean := (select c.relkind = 'p' from pg_class c where c.oid = changed.relid);
  all_columns text[] := pgstream.identity_columns(changed.relid, 'f');
  covered text[] := case when partitioned then pgstream.identity_columns(changed.relid, 'd')
                         when wanted = 'full' then all_columns
                         else pgstream.current_identity(changed.relid) end;
begin
  if covered is null then
    perform pgstream.refuse('pgstream_no_identity', format('table %s has no usable replica identity', named),
      'The application''s UPDATE and DELETE would fail, because what they changed could not be told.',
      case when pgstream.full_needs_more(changed.relid) then '' else 'Set replica_identity = ''full'', or ' end
        || format('ALTER TABLE %s ADD PRIMARY KEY (…);', named), '55000');
  end if;
  if changed.key_columns is null then
    return;
  end if;
  if cardinality(changed.key_columns) = 0 or array_position(changed.key_columns, null) is not null
    or cardinality(changed.key_columns) <> (select count(distinct k) from unnest(changed.key_columns) as k)
  then
    perform pgstream.refuse('pgstream_key_columns', 'key_columns is empty, or has a column twice',
      'It makes the key of each event.', 'Name each column once, or leave it null for the primary key.');
  end if;
  if not changed.key_columns <@ all_columns then
    perform pgstream.refuse('pgstream_key_column_missing', format('key_columns has a column that %s does not stream',
      named),
      format('It streams %s (no generated columns).', array_to_string(all_columns, ', ')),
      'Name columns of the table as they are written there.', '42703');
  end if;
  if not changed.key_columns <@ covered then
    perform pgstream.refuse('pgstream_key_not_covered', format('key_columns of %s are not covered by its replica '
      'identity', named),
      format('A delete would carry %s only%s.', array_to_string(covered, ', '),
        case when partitioned then ', as each later partition begins with the default identity' else '' end),
      case when partitioned then 'Use columns of the primary key.'
           else 'Use those columns, or set replica_identity = ''full''.' end, '55000');
  end if;
end
$$;
comment on function pgstream.check_key(pgstream.tables, text) is 'Private. Refuses a table whose UPDATE or DELETE '
  'would fail, or whose events would lack their key.';
