/** What workers have done: one row per message, and how often it was done. SQS promises at least once, not just once. */

import { SQL } from "bun";
import { release } from "./release";

export interface Job {
  id: string;
  body: string;
  /** How often it was done; more than once if a worker died between doing it and deleting the message. */
  times: number;
  release: string;
  /** When it was done the last time: ISO 8601. */
  done_at: string;
}

export class Jobs {
  private readonly sql: SQL;

  constructor(url: string) {
    this.sql = new SQL(url, { max: 4, connectionTimeout: 5 });
  }

  /** Notes that a message was handled. */
  async record(id: string, body: string): Promise<void> {
    await this.sql`
      INSERT INTO jobs (id, body, release) VALUES (${id}, ${body}, ${release})
      ON CONFLICT (id) DO UPDATE SET times = jobs.times + 1, release = EXCLUDED.release, done_at = now()`;
  }

  async find(id: string): Promise<Job | null> {
    const [job] = await this.sql`SELECT id, body, times, release, done_at FROM jobs WHERE id = ${id}`;
    return job ?? null;
  }

  /** Those done since a moment, oldest first. */
  async since(moment: Date): Promise<Job[]> {
    return await this.sql`
      SELECT id, body, times, release, done_at FROM jobs WHERE done_at >= ${moment} ORDER BY done_at`;
  }

  async close(): Promise<void> {
    await this.sql.close();
  }
}
