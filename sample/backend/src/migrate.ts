/**
 * Migrations: the files of migrations/, in order, each once and in a transaction of its own.
 *
 * They only expand: the release before goes on while they run, and after a rollback. One whose first line is
 * `-- irreversible` has no way back. With --pending it tells what it would apply, and applies nothing.
 */

import { SQL } from "bun";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./release";
import { settings } from "./settings";

/** Key of the advisory lock: any number, as long as it is the same everywhere. */
const LOCK = 7_305_041;

interface Migration {
  name: string;
  text: string;
  irreversible: boolean;
}

async function declared(): Promise<Migration[]> {
  const folder = join(root, "migrations");
  const files = readdirSync(folder).filter((file) => /^\d{3}_\w+\.sql$/.test(file));
  return await Promise.all(
    files.sort().map(async (file) => {
      const text = await Bun.file(join(folder, file)).text();
      return { name: file.slice(0, -".sql".length), text, irreversible: /^--\s*irreversible\b/.test(text) };
    }),
  );
}

async function applied(sql: SQL): Promise<Set<string>> {
  const [{ exists }] = await sql`SELECT to_regclass('schema_migrations') IS NOT NULL AS exists`;
  if (!exists) return new Set();
  return new Set((await sql`SELECT name FROM schema_migrations`).map(({ name }: { name: string }) => name));
}

async function pending(sql: SQL): Promise<Migration[]> {
  const done = await applied(sql);
  return (await declared()).filter(({ name }) => !done.has(name));
}

async function migrate(sql: SQL): Promise<void> {
  const { lockTimeout, statementTimeout } = settings.migrate;
  await sql.unsafe(`SET statement_timeout = ${statementTimeout}`);
  // Two deployments may migrate at once: the second one waits here, then finds nothing left to do.
  await sql`SELECT pg_advisory_lock(${LOCK})`;
  await sql.unsafe(`SET lock_timeout = ${lockTimeout}`);
  await sql`CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`;
  for (const { name, text } of await pending(sql)) {
    await sql.begin(async (transaction) => {
      await transaction.unsafe(text);
      await transaction`INSERT INTO schema_migrations (name) VALUES (${name})`;
    });
    console.log(`migrated ${name}`);
  }
}

if (!settings.databaseUrl) throw new Error("DATABASE_URL is not set");
// One connection: the lock and the time-outs belong to it, and end with it.
const sql = new SQL(settings.databaseUrl, { max: 1, connectionTimeout: 10, onnotice: () => {} } as never);
try {
  if (process.argv.includes("--pending")) {
    for (const { name, irreversible } of await pending(sql)) {
      console.log(`pending ${name}${irreversible ? " irreversible" : ""}`);
    }
  } else {
    await migrate(sql);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await sql.close();
}
