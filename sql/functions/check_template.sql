create or replace function pgstream.check_template(
  place text, template text, database text, table_schema text, table_name text, mode text
) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  literal text := regexp_replace(template, '\{(database|schema|table|operation)\}', '', 'g');
  longest_operation constant text := 'truncate';
  subject text := replace(
    pgstream.fill_subject(template, database, table_schema, table_name), '{operation}', longest_operation);
  reason text;
begin
  if template ~ '\{(row\.|key\})' and place <> 'settings.subject' then
    perform pgstream.refuse('pgstream_not_available',
      format('{row.…} and {key} are not available yet in this version (%s)', place),
      'Rather than be ignored, they are refused.', 'Use {database}, {schema}, {table} and {operation}.', '0A000');
  end if;
  reason := case
    when template ~ '\{(row\.|key\})' then 'it holds for tables of all kinds, so it can''t name a column or the key'
    when literal ~ '[{}]' then 'it has a placeholder that is none of {database}, {schema}, {table}, {operation}'
    when literal ~ '[*>]' then 'it has a wildcard'
    when literal ~ '[\u0001-\u0020\u007F]' then 'it has a space or a control character'
    when subject ~ '^$|^\.|\.$|\.\.' then 'it has an empty token'
    when subject ~ '^(\$|_INBOX(\.|$))' then 'its first token belongs to NATS'
    when octet_length(subject) > 512 then format('it is %s bytes long, and 512 is the most', octet_length(subject))
    when mode = 'persistent' and split_part(template, '.', 1) ~ '\{operation\}'
      then 'NATS does not take a wildcard as first token of a stream''s subject, which {operation} needs there'
  end;
  if reason is not null then
    perform pgstream.refuse('pgstream_subject_illegal', format('%s %s can''t be a subject', place,
      quote_literal(template)),
      upper(left(reason, 1)) || substr(reason, 2) || '.',
      'Tokens are separated by dots; the default is {database}.{schema}.{table}.{operation}.');
  end if;
end
$$;
comment on function pgstream.check_template(text, text, text, text, text, text) is 'Private. Refuses a template that '
  'can''t give a legal subject for that table.';
