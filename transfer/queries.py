"""What is asked of PostgreSQL. Each answers with one value in JSON, on one line."""

from __future__ import annotations

_OURS = r"""n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""
"""Not PostgreSQL's own, and not an extension's: pg_dump decides which rows of those belong to a dump."""

TABLES = f"""
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'schema', n.nspname, 'name', c.relname, 'sql', format('%I.%I', n.nspname, c.relname),
    'owner', pg_get_userbyid(c.relowner), 'bytes', pg_table_size(c.oid))), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_OURS}"""
"""Tables with rows of their own."""

OCCUPANTS = f"""
SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname)), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {_OURS}"""
"""What a database that is empty does not have."""

BLOBS = """
SELECT CASE WHEN EXISTS (SELECT FROM pg_largeobject_metadata) THEN greatest(pg_table_size('pg_largeobject'), 1)
            ELSE 0 END"""
"""Bytes of large objects; 0 if there are none."""

SERVER = """
SELECT jsonb_build_object(
    'version', current_setting('server_version'),
    'encoding', current_setting('server_encoding'),
    'cache', pg_size_bytes(current_setting('shared_buffers')) / 1024,
    'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))"""

FACTS = """
SELECT jsonb_build_object(
    'server_version', current_setting('server_version'),
    'encoding', pg_encoding_to_char(d.encoding),
    'collate', d.datcollate,
    'ctype', d.datctype,
    'owner', pg_get_userbyid(d.datdba),
    'database_bytes', pg_database_size(d.oid),
    'extensions', (SELECT jsonb_object_agg(extname, extversion) FROM pg_extension),
    'owners', (SELECT coalesce(jsonb_agg(DISTINCT pg_get_userbyid(s.refobjid)), '[]') FROM pg_shdepend s
               WHERE s.dbid = d.oid AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'),
    'acl', coalesce(to_jsonb(d.datacl::text[]), '[]'),
    'settings', (SELECT coalesce(jsonb_agg(coalesce(pg_get_userbyid(nullif(setrole, 0)), '') || ': ' || setting), '[]')
                 FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = d.oid),
    'sequences', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                      'schema', schemaname, 'name', sequencename, 'last_value', last_value)
                      ORDER BY schemaname, sequencename), '[]') FROM pg_sequences),
    'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
    'snapshot_time', to_char(transaction_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"'))
FROM pg_database d WHERE d.datname = current_database()"""
"""`DatabaseFacts`, without the snapshot's name."""
