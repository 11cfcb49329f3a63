/** The queue worker: one message at a time. On SIGTERM it finishes the one in hand and stops between messages. */

import { release } from "./release";
import { Services } from "./services";
import { settings } from "./settings";

/** Seconds that one call waits for a message. Short: a call that is given up could take a message along with it. */
const WAIT = 1;
/** Milliseconds to rest after a failure; the message comes back after its visibility time-out. */
const REST = 1_000;

const { jobs, queue } = new Services(settings);
let stopping = false;
process.on("SIGTERM", () => (stopping = true));
process.on("SIGINT", () => (stopping = true));

console.log(`release ${release} works`);
while (!stopping) {
  try {
    const message = await queue.receive(WAIT);
    if (!message) continue;
    await jobs.record(message.MessageId, message.Body);
    await queue.delete(message);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    await Bun.sleep(REST);
  }
}
console.log("stopped between messages");
process.exit(0);
