revoke all on schema pgstream from public;
revoke all on all tables in schema pgstream from public;
revoke all on all functions in schema pgstream from public;
