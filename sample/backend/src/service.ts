/**
 * The main process of lssm-api.service: it starts the server and tells systemd when that listens.
 *
 * systemd waits for the main process before it starts the next release, so on a restart this one ends at once and the
 * server goes on alone until its successor listens. On a stop it ends after the server: all requests are answered.
 */

import { spawn, spawnSync } from "bun";

const [unit = "lssm-api.service"] = process.argv.slice(2);

const server = spawn([process.execPath, "src/api.ts"], {
  stdio: ["ignore", "inherit", "inherit"],
  ipc: () => {
    if (process.env.NOTIFY_SOCKET) spawnSync(["systemd-notify", "--ready"]);
  },
});

process.on("SIGTERM", () => {
  if (restarts()) process.exit(0);
  server.kill("SIGTERM");
});

process.exit(await server.exited);

/** Whether systemd is about to start the unit again. */
function restarts(): boolean {
  const jobs = spawnSync(["systemctl", "list-jobs", "--no-legend", unit]).stdout.toString();
  return jobs.trim().split(/\s+/)[2] === "restart";
}
