/** The services that the application may have: each is there only if the environment names it. */

import { RedisClient } from "bun";
import { Jobs } from "./jobs";
import { Queue } from "./queue";
import type { settings as Settings } from "./settings";

/** A route was asked for that needs a service which this installation has not. */
export class Unavailable extends Error {
  readonly status = 503;

  constructor(variable: string) {
    super(`not available: ${variable} is not set`);
  }
}

export class Services {
  private readonly optional: { jobs?: Jobs; redis?: RedisClient; queue?: Queue };

  constructor({ databaseUrl, redisUrl, queue }: typeof Settings) {
    this.optional = {
      jobs: databaseUrl ? new Jobs(databaseUrl) : undefined,
      redis: redisUrl ? new RedisClient(redisUrl) : undefined,
      queue: queue.url ? new Queue(queue.url, queue) : undefined,
    };
  }

  get jobs(): Jobs {
    return this.optional.jobs ?? missing("DATABASE_URL");
  }

  get redis(): RedisClient {
    return this.optional.redis ?? missing("REDIS_URL");
  }

  get queue(): Queue {
    return this.optional.queue ?? missing("SQS_QUEUE_URL");
  }
}

function missing(variable: string): never {
  throw new Unavailable(variable);
}
