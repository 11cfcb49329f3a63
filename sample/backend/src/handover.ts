/**
 * How one release takes the port over from another on the same machine, without a moment in which nobody listens.
 *
 *   systemctl restart    service.ts exits at once, its api.ts goes on; systemd starts the new service.ts
 *   new api.ts           listens on the same port (SO_REUSEPORT) and gets all new connections from there on
 *   old api.ts           is told to drain; its listener closes once nothing waits there any more
 *
 * The process id of the one that listens is in the unit's runtime directory; outside of systemd nobody takes over.
 */

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { claim, listeners } from "./listener";

/** Milliseconds between two looks. */
const PAUSE = 20;

/**
 * Takes over from the predecessor, if there is one, and waits until it listens no more.
 *
 * @param patience Milliseconds to wait for it.
 */
export async function takeOver(host: string, port: number, patience: number): Promise<void> {
  const folder = process.env.RUNTIME_DIRECTORY;
  if (!folder) return;
  const file = join(folder, "api.pid");
  const predecessor = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  writeFileSync(`${file}.new`, `${process.pid}\n`);
  renameSync(`${file}.new`, file);
  if (!isApi(predecessor)) return;
  claim(host, port);
  process.kill(predecessor, "SIGTERM");
  const end = Date.now() + patience;
  while (listeners(host, port).length > 1 && Date.now() < end) await Bun.sleep(PAUSE);
}

/** Calls back when the parent is gone although this process still serves. */
export function orphaned(then: () => void): void {
  if (process.send) process.on("disconnect", then);
}

/** Whether a process is an API server: the number in the file may belong to another program by now. */
function isApi(pid: number): boolean {
  const file = `/proc/${pid}/cmdline`;
  return pid > 0 && pid !== process.pid && existsSync(file) && readFileSync(file, "utf8").includes("api.ts");
}
