"""A database with what restores trip over."""

from __future__ import annotations

COMMON = r"""
GRANT ALL ON SCHEMA public TO app;
GRANT USAGE ON SCHEMA public TO reader, "Odd owner";
CREATE SCHEMA "Odd schema.x" AUTHORIZATION "Odd owner";
GRANT USAGE ON SCHEMA "Odd schema.x" TO app;
CREATE EXTENSION pgcrypto;

SET ROLE app;
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE lone START 7 INCREMENT 3;
SELECT nextval('lone'), nextval('lone');
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    mood mood DEFAULT 'happy',
    tags text[] DEFAULT '{}',
    data jsonb,
    raw bytea,
    age positive,
    shout text GENERATED ALWAYS AS (upper(name)) STORED
);
INSERT INTO users (name, mood, tags, data, raw, age)
SELECT 'Ünïcödé ☃ 🐘 ' || i, 'it''s "fine"', ARRAY['a,b', E'tab\there', NULL], jsonb_build_object('i', i, 'n', null),
       decode(md5(i::text), 'hex'), i
FROM generate_series(1, 9000) AS i;
INSERT INTO users (name, data) VALUES (E'back\\slash \\. \n newline', '{"\\u2603": [1, 2.5e300]}'), ('', NULL);
CREATE TABLE orders (id serial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, at timestamptz);
INSERT INTO orders (user_id, at)
SELECT i, timestamptz '2024-02-29 12:00+00' + i * interval '1 minute' FROM generate_series(1, 5000) AS i;
CREATE INDEX orders_at ON orders (at DESC) WHERE user_id > 10;
CREATE UNIQUE INDEX ON users (lower(name), id);
CREATE TABLE empty (a int, b text);
CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 3);
CREATE UNLOGGED TABLE fleeting AS SELECT i FROM generate_series(1, 10) AS i;
CREATE TABLE events (at date NOT NULL, id int, body text) PARTITION BY RANGE (at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE "events 2024" PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (id);
CREATE TABLE "events 2024 rest" PARTITION OF "events 2024" DEFAULT;
INSERT INTO events SELECT date '2023-12-01' + i % 60, i, repeat(md5(i::text), 8) FROM generate_series(1, 12000) AS i;
CREATE INDEX ON events (id);
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 3);
CREATE VIEW grown AS SELECT id, name FROM users WHERE age > 8990 WITH CHECK OPTION;
CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) FROM users GROUP BY mood;
CREATE UNIQUE INDEX ON moods (mood);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 2 * i; END$$;
REVOKE ALL ON FUNCTION twice FROM PUBLIC;
CREATE INDEX twice_age ON orders (twice(id));
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.at = now(); RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON users FOR SELECT TO reader USING (name = current_user);
CREATE RULE no_delete AS ON DELETE TO parent DO INSTEAD NOTHING;
CREATE STATISTICS orders_stat ON user_id, at FROM orders;
CREATE COLLATION german (provider = icu, locale = 'de');
COMMENT ON TABLE users IS 'People; Type: TABLE; Schema: public; Owner: nobody';
COMMENT ON COLUMN users.name IS E'two\nlines';
GRANT SELECT ON users, grown TO reader;
GRANT UPDATE (name) ON users TO reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
SELECT lo_from_bytea(4711, decode(repeat('00ff27', 3000), 'hex'));
GRANT SELECT ON LARGE OBJECT 4711 TO reader;
COMMENT ON LARGE OBJECT 4711 IS 'large';

SET ROLE "Odd owner";
CREATE TABLE "Odd schema.x"."Odd ""name"" $*?|[a].b'c" ("Col umn" text, "select" int);
INSERT INTO "Odd schema.x"."Odd ""name"" $*?|[a].b'c"
SELECT repeat(md5(i::text), 9), i FROM generate_series(1, 5000) AS i;
-- What a pattern that is not quoted would take for the other one.
CREATE TABLE "Odd schema.x"."odd" (a text);
CREATE TABLE "Odd schema.x"."ODD" (a text);
INSERT INTO "Odd schema.x"."odd" SELECT repeat(md5(i::text), 8) FROM generate_series(1, 5000) AS i;
INSERT INTO "Odd schema.x"."ODD" SELECT repeat(md5((-i)::text), 8) FROM generate_series(1, 5000) AS i;
CREATE INDEX ON "Odd schema.x"."odd" (md5(a));
RESET ROLE;
"""
"""Made by a superuser, for owners who are none; it needs a role reader."""

SUPERUSERS = r"""
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER away FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE foreign_one (a int) SERVER away;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION on_ddl();
COMMENT ON EVENT TRIGGER on_ddl IS 'nothing';
CREATE TABLE whole (id int PRIMARY KEY);
"""
"""What only a superuser can restore."""
