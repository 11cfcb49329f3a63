/** The application, put together. */

import { Elysia } from "elysia";
import { graphql } from "./graphql";
import { release } from "./release";
import { rest } from "./rest";
import { type Services, Unavailable } from "./services";
import type { Sockets } from "./sockets";

export interface Life {
  /** Whether the process is about to end, so that each connection brings its last request. */
  draining: boolean;
}

export const application = (services: Services, sockets: Sockets, life: Life) =>
  new Elysia()
    .onRequest(({ set }) => {
      set.headers["x-release"] = release;
    })
    // When the answer is made, not when the request came: it may have come long before the stop.
    .mapResponse({ as: "global" }, ({ set }) => {
      if (life.draining) set.headers.connection = "close";
    })
    .error({ Unavailable })
    .onError(({ code, error, set }) => {
      if (life.draining) set.headers.connection = "close";
      if (code === "Unavailable") {
        set.status = error.status;
        return { error: error.message };
      }
    })
    // Liveness only: a database that is away is no reason to take every node out of the pool.
    .get("/healthz", () => ({ status: "ok", release }))
    .use(rest(services))
    .use(graphql(services))
    .use(sockets.routes());
