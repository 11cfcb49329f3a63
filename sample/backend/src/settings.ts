/** What the environment says. Database, cache and queue are optional: what needs one that is absent answers 503. */

/** An environment variable as a number. */
function number(name: string, otherwise: number): number {
  const text = process.env[name];
  if (!text) return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} is ${text}: a number is needed, 0 or more`);
  return value;
}

export const settings = {
  /** Address to listen on, and no other: machines of a rehearsal share a network. */
  host: process.env.HOST || "127.0.0.1",
  port: number("PORT", 3000),
  /** postgres://user:password@host:port/database */
  databaseUrl: process.env.DATABASE_URL,
  /** redis://user:password@host:port */
  redisUrl: process.env.REDIS_URL,
  queue: {
    url: process.env.SQS_QUEUE_URL,
    /** Where SQS answers; that of the queue's URL if it is not set. */
    endpoint: process.env.SQS_ENDPOINT,
    region: process.env.SQS_REGION || "fr-par",
    accessKeyId: process.env.SQS_ACCESS_KEY_ID ?? "",
    secretAccessKey: process.env.SQS_SECRET_ACCESS_KEY ?? "",
  },
  stop: {
    /** Milliseconds in which open keep-alive connections may still bring a request; each is answered the last time. */
    linger: number("LINGER_MS", 1_000),
    /** Milliseconds over which WebSockets are closed, so that their clients do not all come back at once. */
    webSockets: number("WS_CLOSE_WINDOW_MS", 2_000),
    /** Milliseconds until what is still open is cut. */
    grace: number("GRACE_MS", 20_000),
    /** Milliseconds for which a process whose unit restarts goes on alone, should no successor come. */
    handover: number("HANDOVER_MS", 90_000),
  },
  migrate: {
    /** Milliseconds that a statement may wait for a lock: everybody behind it waits too. */
    lockTimeout: number("MIGRATE_LOCK_TIMEOUT_MS", 5_000),
    /** Milliseconds that a statement may take. */
    statementTimeout: number("MIGRATE_STATEMENT_TIMEOUT_MS", 300_000),
  },
};
