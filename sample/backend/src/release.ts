/** Which release this is: the file REVISION that a deployment writes, else git's commit, else "dev". */

import { join } from "node:path";

export const root = join(import.meta.dir, "..");

async function find(): Promise<string> {
  const file = Bun.file(join(root, "REVISION"));
  if (await file.exists()) return (await file.text()).trim();
  if (!Bun.which("git")) return "dev";
  const git = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: root, stderr: "ignore" });
  return git.success ? git.stdout.toString().trim() : "dev";
}

export const release = await find();
