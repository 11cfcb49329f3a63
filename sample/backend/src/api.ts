/**
 * The API server.
 *
 *   SIGTERM            every answer says `Connection: close`
 *   + linger           the listener closes, WebSockets are closed with 1001 over a window, requests in flight go on
 *   all answered       exit 0; at the latest after the grace
 */

import { application, type Life } from "./app";
import { orphaned, takeOver } from "./handover";
import { release } from "./release";
import { Services } from "./services";
import { settings } from "./settings";
import { Sockets } from "./sockets";

/** Seconds that an idle connection stays open: longer than a balancer keeps one, so that it is the balancer who closes. */
const IDLE = 240;

const life: Life = { draining: false };
const sockets = new Sockets();
const app = application(new Services(settings), sockets, life).listen({
  hostname: settings.host,
  port: settings.port,
  idleTimeout: IDLE,
  // The successor listens before this process stops to.
  reusePort: true,
});

async function drain(why: string): Promise<void> {
  if (life.draining) return;
  life.draining = true;
  const { linger, webSockets, grace } = settings.stop;
  const server = app.server!;
  console.log(`${why}: ${server.pendingRequests} requests and ${sockets.count} sockets are open`);
  setTimeout(() => {
    console.log(`cut after ${grace} ms: ${server.pendingRequests} requests and ${sockets.count} sockets`);
    process.exit(0);
  }, grace);
  // Bun's stop() closes idle connections at once, also those on which the balancer is just sending a request. Until
  // then it has used, and so lost, those it keeps in hand.
  await Bun.sleep(linger);
  const stopped = server.stop();
  // Only now, so that clients which come back do not meet this process again.
  sockets.closeWithin(webSockets);
  await stopped;
  console.log("stopped");
  process.exit(0);
}

process.on("SIGTERM", () => void drain("SIGTERM"));
process.on("SIGINT", () => void drain("SIGINT"));
orphaned(() => setTimeout(() => void drain("no successor came"), settings.stop.handover));

console.log(`release ${release} listens on ${settings.host}:${settings.port}`);
await takeOver(settings.host, settings.port, settings.stop.grace);
process.send?.("listening");
