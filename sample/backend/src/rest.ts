/** The HTTP API below /rest. */

import { Elysia, t } from "elysia";
import { release } from "./release";
import type { Services } from "./services";

export const rest = (services: Services) =>
  new Elysia({ prefix: "/rest" })
    .get("/release", () => ({ release }))
    .post("/echo", async ({ request }) => new Response(await request.arrayBuffer(), { headers: mediaOf(request) }), {
      // The body is what it is: nothing looks into it.
      parse: "none",
    })
    .get(
      "/slow",
      async ({ query: { seconds } }) => {
        await Bun.sleep(seconds * 1_000);
        return { release, seconds };
      },
      { query: t.Object({ seconds: t.Number({ minimum: 0, maximum: 60, default: 5 }) }) },
    )
    .get("/visits", async () => ({ visits: await services.redis.incr("visits") }))
    .post("/jobs", async ({ request }) => ({ id: await services.queue.send((await request.text()) || "{}") }), {
      parse: "none",
    })
    .get("/jobs/done", async ({ query: { since } }) => ({ jobs: await services.jobs.since(since) }), {
      query: t.Object({ since: t.Date({ default: new Date(0).toISOString() }) }),
    })
    .get("/jobs/:id", async ({ params: { id }, status }) => (await services.jobs.find(id)) ?? status(404, { error: "not done" }));

function mediaOf(request: Request): Record<string, string> {
  return { "content-type": request.headers.get("content-type") ?? "application/octet-stream" };
}
