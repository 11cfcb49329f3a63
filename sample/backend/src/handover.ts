/**
 * How one release takes the port over from another on the same machine, without a moment in which nobody listens.
 *
 *   systemctl restart    service.ts exits at once, its api.ts goes on; systemd starts the new service.ts
 *   new api.ts           listens on the same port (SO_REUSEPORT), then tells the old one to drain
 *
 * The process id of the one that listens is in the unit's runtime directory; outside of systemd nobody takes over.
 */

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** This process listens: its predecessor may go. */
export function takeOver(): void {
  const folder = process.env.RUNTIME_DIRECTORY;
  if (!folder) return;
  const file = join(folder, "api.pid");
  const predecessor = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  writeFileSync(`${file}.new`, `${process.pid}\n`);
  renameSync(`${file}.new`, file);
  if (isApi(predecessor)) process.kill(predecessor, "SIGTERM");
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
