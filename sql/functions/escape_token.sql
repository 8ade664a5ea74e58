create or replace function pgstream.escape_token(token text) returns text
language sql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select case
    when token = '' then '='
    when token !~ '[^A-Za-z0-9_-]' then token
    else (
      select string_agg(
        case when chr(byte) ~ '[A-Za-z0-9_-]' and byte < 128 then chr(byte)
             else '=' || upper(lpad(to_hex(byte), 2, '0')) end,
        '' order by position)
      from (select position, get_byte(bytes, position) as byte
            from (select convert_to(token, 'UTF8') as bytes) as encoded,
                 generate_series(0, length(bytes) - 1) as position) as each_byte)
  end
$$;
comment on function pgstream.escape_token(text) is 'One legal, reversible NATS token: each UTF-8 byte outside A-Z a-z '
  '0-9 _ - becomes =XX, an empty token =.';
