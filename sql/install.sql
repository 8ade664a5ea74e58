-- Installs or upgrades pgstream's control schema in one database; doing it again changes nothing.
--
--   psql -v ON_ERROR_STOP=1 -d shop -f sql/install.sql
--   select pgstream.create_slot();
--
-- Parameters, set beforehand (SET pgstream.owner_role = '…'; or in PGOPTIONS):
--   pgstream.owner_role  owner of the publication, whose members may stream the tables they own (pgstream_dba)
--   pgstream.relay_role  role the relay connects under; gets its grants (none)
\set ON_ERROR_STOP on
\ir begin.sql

-- tables and types: append-only
\ir migrations/0001_ledger.sql
\ir migrations/0002_control_tables.sql
\ir migrations/0003_private_tables.sql
\ir migrations/0004_relay_tables.sql
\ir migrations/0005_adoptions.sql
\ir migrations/0006_snapshots.sql

-- functions: what a function or view is made of comes before it
\ir functions/version.sql
\ir functions/refuse.sql
\ir functions/escape_token.sql
\ir functions/alias.sql
\ir functions/is_home.sql
\ir functions/default_stream.sql
\ir functions/default_slot_name.sql
\ir functions/fill_subject.sql
\ir functions/subject_pattern.sql
\ir functions/pattern_regex.sql
\ir functions/relation_oid.sql
\ir functions/relation_name.sql
\ir functions/relation_tree.sql
\ir functions/identity_columns.sql
\ir functions/current_identity.sql
\ir functions/key_columns.sql
\ir functions/is_full.sql
\ir functions/full_needs_more.sql
\ir functions/wanted_identity.sql
\ir functions/is_published.sql
\ir functions/effective_subject.sql
\ir functions/find_tables.sql
\ir functions/relay_roles.sql
\ir functions/row_shape.sql
\ir functions/snapshot_key.sql
\ir views/subject_patterns.sql
\ir functions/adopt_copy.sql
\ir functions/alter_identity.sql
\ir functions/alter_publication.sql
\ir functions/apply_table.sql
\ir functions/begin_change.sql
\ir functions/check_available.sql
\ir functions/check_command.sql
\ir functions/check_full_identity.sql
\ir functions/check_key.sql
\ir functions/check_not_twice.sql
\ir functions/check_rights.sql
\ir functions/check_settings.sql
\ir functions/check_signal.sql
\ir functions/check_slot_name_change.sql
\ir functions/check_snapshot.sql
\ir functions/check_stream_name.sql
\ir functions/check_subjects.sql
\ir functions/check_table.sql
\ir functions/check_template.sql
\ir functions/check_values.sql
\ir functions/check_word.sql
\ir functions/control_rows.sql
\ir functions/copy_default_stream.sql
\ir functions/create_slot.sql
\ir functions/existing_slot.sql
\ir functions/explain.sql
\ir functions/find_table.sql
\ir functions/forget_identity.sql
\ir functions/give_identity_back.sql
\ir functions/identity_stays_full.sql
\ir functions/judge_status.sql
\ir functions/limit_lock_wait.sql
\ir functions/lock_deadline.sql
\ir functions/lock_table.sql
\ir functions/make_identity_full.sql
\ir functions/prepare_database.sql
\ir functions/prove_filter.sql
\ir functions/refuse_settings_delete.sql
\ir functions/refuse_signals_change.sql
\ir functions/refuse_truncate.sql
\ir functions/relay_needs.sql
\ir functions/release_table.sql
\ir functions/remember_identity.sql
\ir functions/settings_apply.sql
\ir functions/settings_fill.sql
\ir functions/signals_apply.sql
\ir functions/signals_fill.sql
\ir functions/snapshot_filter.sql
\ir functions/snapshot_targets.sql
\ir functions/snapshots_clock.sql
\ir functions/snapshots_fill.sql
\ir functions/start_initial_snapshot.sql
\ir functions/streams_apply.sql
\ir functions/streams_fill.sql
\ir functions/table_problem.sql
\ir functions/tables_apply.sql
\ir functions/tables_check_subjects.sql
\ir functions/tables_fill.sql
\ir functions/take_turn.sql
\ir functions/warn_full_snapshot.sql
\ir functions/warn_relay_needs.sql

-- triggers
\ir triggers/settings_apply.sql
\ir triggers/settings_fill.sql
\ir triggers/settings_refuse_delete.sql
\ir triggers/settings_refuse_truncate.sql
\ir triggers/signals_apply.sql
\ir triggers/signals_fill.sql
\ir triggers/signals_refuse_change.sql
\ir triggers/signals_refuse_truncate.sql
\ir triggers/snapshots_clock.sql
\ir triggers/snapshots_fill.sql
\ir triggers/streams_apply.sql
\ir triggers/streams_fill.sql
\ir triggers/streams_refuse_truncate.sql
\ir triggers/tables_apply.sql
\ir triggers/tables_check_inserted.sql
\ir triggers/tables_check_updated.sql
\ir triggers/tables_fill.sql
\ir triggers/tables_refuse_truncate.sql

-- views
\ir views/snapshot_commands.sql
\ir views/snapshot_progress.sql
\ir views/status.sql
\ir views/table_status.sql

-- publication, then rights
\ir grants/owner_role.sql
\ir grants/publication.sql
\ir grants/nothing_to_public.sql
\ir grants/dba.sql
\ir grants/relay.sql

\ir finish.sql
