// The targets by name.
import type { CreateOptions } from "latentwire";
import { openCommands } from "./command-line.js";
import { openContexts } from "./contexts.js";
import type { Target } from "./engine.js";
import { fileTargets, openFiles } from "./files.js";
import { manyTargets, openMany } from "./many.js";
import { openPackets, packetTargets } from "./packets.js";
import { openPool } from "./pool.js";

/** A target over a codec of its own. `thorough`: more of its outcomes are compared with the reference. */
export async function openTarget(name: string, options: CreateOptions, thorough = false): Promise<Target> {
  if (packetTargets.includes(name)) return openPackets(name, options, thorough);
  if (fileTargets.includes(name)) return openFiles(name, options);
  if (manyTargets.includes(name)) return openMany(name, options);
  if (name === "contexts") return openContexts(options);
  if (name === "pool") return openPool(options);
  if (name === "commands") return openCommands();
  throw new RangeError(`there is no target ${name}`);
}
