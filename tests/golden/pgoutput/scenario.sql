-- What the server of messages.hex was told; one statement a line, each its own transaction unless it says begin.
create type mood as enum ('low', 'high')
create table city (id integer primary key, name text not null, mood mood, note text)
alter table city alter column note set storage external
create table ledger (amount numeric(12,2), at timestamptz)
alter table ledger replica identity full
create table sale (id bigint generated always as identity, day date, primary key (id, day)) partition by range (day)
create table sale_2026 partition of sale for values from ('2026-01-01') to ('2027-01-01')
create publication golden for table city, ledger, sale with (publish_via_partition_root = true)
select pg_create_logical_replication_slot('golden', 'pgoutput')
begin; insert into city values (1, 'Åbo', 'high', repeat('n', 3000)), (2, '', null, null); commit
update city set name = 'Turku' where id = 1
update city set id = 3 where id = 2
delete from city where id = 3
insert into ledger values (1.50, '2026-01-01 12:34:56.5+02')
update ledger set amount = 2 where amount = 1.50
delete from ledger
insert into sale (day) values ('2026-02-03')
begin; select pg_logical_emit_message(true, 'orders', 'in a transaction'); commit
select pg_logical_emit_message(false, 'orders', '\x0001ff'::bytea)
alter table city add column population bigint
insert into city values (4, 'Oulu', 'low', null, 9007199254740993)
truncate city, ledger restart identity cascade
select pg_replication_origin_create('elsewhere')
select pg_replication_origin_session_setup('elsewhere')
begin; select pg_replication_origin_xact_setup('0/ABCDEF', '2026-01-01 00:00:00.000001+00'); delete from sale; commit
