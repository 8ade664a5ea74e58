-- The role that the relay logs in with. `pgstream install --relay-role pgstream_relay` grants it what it needs.
create role pgstream_relay with login replication password 'example';
